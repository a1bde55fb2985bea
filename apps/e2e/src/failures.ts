import pg from 'pg'
import { z } from 'zod'
import type { System } from './system.ts'

const counts = z.object({ parked: z.number(), unpublishable: z.number() })
const consumers = [
  'order-service',
  'inventory-service',
  'payment-service',
  'notification-service',
  'order-statistics',
] as const

/** What has failed in a system so far. */
export interface Failures {
  /** Messages that are parked now, whether to be tried again or dead. */
  parked: number
  /** Outbox rows that were set aside. */
  unpublishable: number
  letters: number
  /** Messages that a running process has parked since its start: each has used an attempt or was dead at once. */
  everParked: number
}

/** Counts what has failed, in every database and in the metrics of every process. */
export async function readFailures(system: System): Promise<Failures> {
  const perDatabase = await Promise.all(Object.values(system.databases).map(countSetAside))
  const [letters] = await query(
    system.deadLettersDatabase,
    z.object({ letters: z.number() }),
    'select count(*)::int as letters from letters',
  )
  const everParked = await Promise.all(consumers.map((app) => countParkings(system.apps[app].url)))
  return {
    parked: sum(perDatabase.map(({ parked }) => parked)),
    unpublishable: sum(perDatabase.map(({ unpublishable }) => unpublishable)),
    letters: letters?.letters ?? 0,
    everParked: sum(everParked),
  }
}

export const noFailures: Failures = { parked: 0, unpublishable: 0, letters: 0, everParked: 0 }

/** Messages that are parked, and outbox rows that were set aside, in one database. */
export async function countSetAside(url: string): Promise<z.infer<typeof counts>> {
  const [row] = await query(
    url,
    counts,
    `select (select count(*)::int from parked_message) as parked,
            (select count(*)::int from outbox_dead) as unpublishable`,
  )
  if (row === undefined) throw new Error('a count has one row')
  return row
}

/** From the process's own metrics, since a message that was applied in the end leaves no row behind. */
async function countParkings(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const samples = text.matchAll(
    /^edp_consumer_messages_total\{[^}]*result="(?:retrying|waiting|dead)"[^}]*\} (\d+)$/gm,
  )
  return sum([...samples].map(([, value]) => Number(value)))
}

async function query<Row>(url: string, row: z.ZodType<Row>, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return z.array(row).parse((await client.query(sql)).rows)
  } finally {
    await client.end()
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
