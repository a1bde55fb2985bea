import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import { createApi } from './api.ts'
import { appNames, type AppName } from './app-process.ts'
import { expectAllEnded } from './account.ts'
import { startLoad } from './load.ts'
import { randomOf } from './random.ts'
import { restartServer } from './servers.ts'
import { serviceUrls } from './reachable-system.ts'
import type { System } from './system.ts'

/** What happens to the system while orders are placed. */
export type Fault =
  | { readonly kind: 'kill'; readonly app: AppName; readonly downMs: number }
  | { readonly kind: 'restart'; readonly server: 'kafka' | 'rabbitmq' }

export interface ChaosOptions {
  /** Orders of each style. */
  orders: number
  seed: number
  /** Shows progress. */
  tell: (line: string) => void
}

/** How many orders of a style ended in a status. */
export interface ChaosOutcome {
  coordination: string
  status: string
  count: number
}

const loadSecondsMin = 60
const ordersPerSecondMax = 100

/** Each app killed twice, RabbitMQ and Kafka restarted once, in an order that the seed determines. */
export function planFaults(seed: number): Fault[] {
  const random = randomOf(seed)
  const kills = [...appNames, ...appNames].map(
    (app): Fault => ({ kind: 'kill', app, downMs: Math.floor(random() * 500) }),
  )
  const faults: Fault[] = [
    ...kills,
    { kind: 'restart', server: 'rabbitmq' },
    { kind: 'restart', server: 'kafka' },
  ]
  return faults
    .map((fault) => ({ fault, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ fault }) => fault)
}

/**
 * Places orders of both styles, half of them to be refused or given up, and meanwhile kills every app and restarts the brokers.
 * @throws Error when an order is lost, there twice or does not end, the books do not balance, or an app ended by itself
 */
export async function runChaos(system: System, options: ChaosOptions): Promise<ChaosOutcome[]> {
  const { orders, seed, tell } = options
  const ordersMax = orders * 2
  // So slow that the faults find orders under way, also when there are few.
  const ordersPerSecond = Math.min(ordersPerSecondMax, ordersMax / loadSecondsMin)
  const api = createApi(serviceUrls(system))
  const faults = planFaults(seed)
  const load = await startLoad({ api, seed, ordersPerSecond, ordersMax })
  for (const [index, fault] of faults.entries()) {
    await load.reach(Math.floor((ordersMax * (index + 1)) / (faults.length + 1)))
    tell(`${load.accepted()} of ${ordersMax} orders accepted; ${describeFault(fault)}`)
    expectAllRunning(system)
    await strike(system, fault)
  }
  const accepted = await load.finish()
  tell(`all ${accepted.length} orders accepted; waiting until all have ended`)
  await expectAllEnded(system, accepted, { timeoutMs: 120_000 })
  expectAllRunning(system)
  return await readOutcomes(system)
}

/** A fault, for people. */
export function describeFault(fault: Fault): string {
  return fault.kind === 'kill'
    ? `SIGKILL ${fault.app}, down for ${fault.downMs} ms`
    : `restart ${fault.server}`
}

async function strike({ apps }: System, fault: Fault): Promise<void> {
  if (fault.kind === 'restart') return await restartServer(fault.server)
  await apps[fault.app].kill()
  await sleep(fault.downMs)
  apps[fault.app].start()
  await apps[fault.app].ready()
}

/** A fault elsewhere is waited for; a process that ends over it would be hidden by its own kill later. */
function expectAllRunning({ apps }: System): void {
  for (const app of appNames) {
    if (!apps[app].running) throw new Error(`${app} ended by itself\n${apps[app].logTail()}`)
  }
}

const outcomes = z.array(
  z.object({ coordination: z.string(), status: z.string(), count: z.coerce.number() }),
)

async function readOutcomes({ databases }: System): Promise<ChaosOutcome[]> {
  const client = new pg.Client({ connectionString: databases.orders })
  await client.connect()
  try {
    const { rows } = await client.query(
      'select coordination, status, count(*) from orders group by 1, 2 order by 1, 2',
    )
    return outcomes.parse(rows)
  } finally {
    await client.end()
  }
}
