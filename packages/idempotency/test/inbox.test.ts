import {
  type Component,
  createHealth,
  createLogger,
  type Database,
  openDatabase,
} from '@edp/runtime'
import { explainPlans, patient, templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { claim, createInboxUpkeep, isPartitionMissing } from '../src/index.ts'
import { schemaSql } from './fixtures/schema.ts'

const aDayMs = 24 * 60 * 60 * 1000
let db: TestDatabase
let database: Database

beforeAll(async () => {
  db = await templateDatabase({ role: 'keeper_service', migrations: { sql: schemaSql } })
  database = openDatabase({
    url: db.serviceUrl,
    applicationName: 'inbox-test',
    ...patient,
  })
})
afterAll(async () => {
  await database.end()
  await db.drop()
})

let ids = 0

/** An id as a producer makes it at a time. */
function idAt(time: number): string {
  ids += 1
  const hex = time.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${String(ids).padStart(12, '0')}`
}

async function partitions(): Promise<string[]> {
  const rows = await db.query(
    `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
     where i.inhparent = 'inbox'::regclass order by 1`,
  )
  return rows.map(({ relname }) => String(relname))
}

function partitionOf(daysFromNow: number): string {
  const day = new Date(Date.now() + daysFromNow * aDayMs).toISOString().slice(0, 10)
  return `inbox_${day.replaceAll('-', '')}`
}

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error,
  )
}

describe('claiming messages', () => {
  beforeEach(async () => {
    await db.query('select inbox_maintain(8)')
    await db.query('truncate inbox')
  })

  test('an id is new once for each consumer, also over days and within a list', async () => {
    const [old, today] = [idAt(Date.now() - 3 * aDayMs), idAt(Date.now())]
    const first = await database.transaction((tx) => claim(tx, 'a.kafka', [today, old, today]))
    expect(first).toEqual(new Set([today, old]))
    const again = await database.transaction((tx) => claim(tx, 'a.kafka', [old, today]))
    expect(again).toEqual(new Set())
    const other = await database.transaction((tx) => claim(tx, 'b.kafka', [old, today]))
    expect(other).toEqual(new Set([today, old]))
    expect(await database.transaction((tx) => claim(tx, 'a.kafka', []))).toEqual(new Set())
  })

  test('a claim that is rolled back never was', async () => {
    const id = idAt(Date.now())
    await rejection(
      database.transaction(async (tx) => {
        await claim(tx, 'a.kafka', [id])
        throw new Error('refused')
      }),
    )
    expect(await database.transaction((tx) => claim(tx, 'a.kafka', [id]))).toEqual(new Set([id]))
  })

  test('waits for a transaction that holds an id: it is new only when that one rolls back', async () => {
    const [kept, dropped] = [idAt(Date.now()), idAt(Date.now())]
    for (const [id, commits] of [
      [kept, true],
      [dropped, false],
    ] as const) {
      const claimed = Promise.withResolvers<void>()
      const end = Promise.withResolvers<void>()
      const holder = database.transaction(async (tx) => {
        await claim(tx, 'a.kafka', [id])
        claimed.resolve()
        await end.promise
        if (!commits) throw new Error('refused')
      })
      const held = holder.catch(() => undefined)
      await claimed.promise
      const waiting = database.transaction((tx) => claim(tx, 'a.kafka', [id]))
      await untilWaiting()
      end.resolve()
      await held
      expect(await waiting).toEqual(commits ? new Set() : new Set([id]))
    }
  })

  test('batches with the same ids in other orders wait for each other and never deadlock', async () => {
    const all = Array.from({ length: 200 }, () => idAt(Date.now()))
    const claims = Array.from({ length: 12 }, (_, n) =>
      database.transaction((tx) => claim(tx, 'a.kafka', n % 2 === 0 ? all : all.toReversed())),
    )
    const sizes = (await Promise.all(claims)).map((claimed) => claimed.size)
    expect(sizes.toSorted((a, b) => a - b)).toEqual([...Array<number>(11).fill(0), 200])
  })

  test('a day without a partition is told apart from a constraint that a message breaks', async () => {
    const future = idAt(Date.now() + 30 * aDayMs)
    const missing = await rejection(
      database.transaction((tx) => claim(tx, 'a.kafka', [idAt(Date.now()), future])),
    )
    expect(isPartitionMissing(missing)).toBe(true)
    expect(await db.query('select * from inbox')).toEqual([])
    const other = await rejection(
      db.query("do $$ begin raise check_violation using message = 'of another table'; end $$"),
    )
    expect(isPartitionMissing(other)).toBe(false)
    expect(isPartitionMissing(new Error('something else'))).toBe(false)
  })

  async function untilWaiting(): Promise<void> {
    await waitFor(
      () =>
        db.query(`select from pg_locks l join pg_stat_activity a using (pid)
          where not l.granted and a.datname = current_database()`),
      { until: (rows) => rows.length > 0, message: 'the second claim waits' },
    )
  }
})

describe('the upkeep', () => {
  const health = createHealth()
  const running: Component[] = []
  afterEach(async () => {
    await Promise.all(running.splice(0).map((component) => component.stop()))
  })

  const start = async (now?: () => Date, intervalMs?: number): Promise<void> => {
    const upkeep = createInboxUpkeep({
      database,
      logger: createLogger('upkeep', 'silent'),
      health,
      retentionDays: 2,
      ...(now && { now }),
      ...(intervalMs && { intervalMs }),
    })
    running.push(upkeep)
    await upkeep.start()
  }
  const check = () => health.readiness().checks['inbox-upkeep']

  test('makes the partitions kept and of the next three days, and drops older ones', async () => {
    await db.query('select inbox_maintain(8)')
    expect(await partitions()).toContain(partitionOf(-8))
    await start()
    await waitFor(check, {
      until: (report) => report?.status === 'ok',
      message: 'the upkeep has run',
    })
    expect(await partitions()).toEqual([-2, -1, 0, 1, 2, 3].map(partitionOf))
  })

  test('without tomorrow’s partition the service is unhealthy, until it is made', async () => {
    const tomorrow = partitionOf(4)
    await start(() => new Date(Date.now() + 3 * aDayMs), 50)
    await waitFor(check, {
      until: (report) => report?.status === 'unhealthy',
      message: 'the check fails',
    })
    expect(check()?.detail).toContain(tomorrow.slice('inbox_'.length))
    await db.query(
      `create table ${tomorrow} partition of inbox for values
       from (${bound(4)}) to (${bound(5)})`,
    )
    await waitFor(check, {
      until: (report) => report?.status === 'ok',
      message: 'the check passes',
    })
    await db.query(`drop table ${tomorrow}`)
  })

  test('that fails is degraded and tried again', async () => {
    await db.query('revoke execute on function inbox_maintain(integer) from keeper_service')
    await start(undefined, 50)
    await waitFor(check, {
      until: (report) => report?.detail?.includes('permission denied') ?? false,
      message: 'the check says why',
    })
    expect(check()?.status).toBe('degraded')
    await db.query('grant execute on function inbox_maintain(integer) to keeper_service')
    await waitFor(check, { until: (report) => report?.status === 'ok', message: 'it has worked' })
  })

  function bound(daysFromNow: number): string {
    return `'${idAt(Math.floor(Date.now() / aDayMs + daysFromNow) * aDayMs).slice(0, 14)}0000-0000-000000000000'`
  }
})

test('every statement looks up by the whole key on empty tables', async () => {
  // What other files have loaded into this process declares statements too.
  vi.resetModules()
  const { declaredStatements } = await import('@edp/runtime')
  await import('../src/index.ts')
  // The catalogue is not ours to index.
  const ours = declaredStatements().filter(({ name }) => name !== 'inbox_newest_partition')
  expect(ours.map(({ name }) => name)).toEqual([
    'inbox_claim',
    'inbox_maintain',
    'idempotency_key_claim',
    'idempotency_key_read',
  ])
  expect(await explainPlans(db.url, ours)).toEqual([])
})
