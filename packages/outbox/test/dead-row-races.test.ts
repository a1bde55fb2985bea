import { setTimeout as delay } from 'node:timers/promises'
import type { Drain } from '@edp/outbox/drain'
import { AppError, type Database } from '@edp/runtime'
import { type TestDatabase, waitFor } from '@edp/testkit'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { drainOf, isMessage, openOperator, refuse, settle } from './dead-row-fixture.ts'
import { count, openService, outboxDatabase } from './outbox-database.ts'
import { RecordingPublisher, sequenceOf } from './recording-publisher.ts'

let database: TestDatabase
let service: Database
let operator: Database
let broker: RecordingPublisher
let drains: Drain[]

beforeEach(async () => {
  database = await outboxDatabase()
  service = openService(database)
  operator = openOperator(database)
  broker = new RecordingPublisher()
  drains = []
})

afterEach(async () => {
  await Promise.all(drains.map((drain) => drain.stop()))
  await service.end()
  await operator.end()
  await database.drop()
})

async function startDrain(options: Partial<Parameters<typeof drainOf>[0]> = {}): Promise<Drain> {
  const drain = drainOf({ database, publisher: broker, ...options })
  drains.push(drain)
  await drain.start()
  return drain
}

const emptied = () =>
  waitFor(async () => (await database.query('select from outbox')).length, {
    message: 'the outbox is empty',
    until: (rows) => rows === 0,
  })

const deadIds = async () => {
  const rows = await database.query(`select id from outbox_dead where status = 'dead' order by id`)
  return rows.map((row) => Number(row['id']))
}
const someDead = () => waitFor(deadIds, { message: 'a dead row', until: (ids) => ids.length > 0 })
const accept = () => {
  broker.handle = (rows) => broker.accept(rows)
}

test('a row of a halted key that commits late with a lower id goes out before the dead one', async () => {
  broker.handle = refuse(broker, isMessage('key', 2))
  await startDrain()
  const late = new pg.Client({ connectionString: database.url })
  await late.connect()
  const insert = `insert into outbox (transport, message_id, destination, key, type, payload, headers)
    values ('kafka', gen_random_uuid(), 'd', 'key', 't.v1', $1, '{"ce_id":"x"}')`
  await late.query('begin')
  await late.query(insert, ['{"sequence":1}'])
  for (const sequence of [2, 3]) await database.query(insert, [JSON.stringify({ sequence })])
  const [id = 0] = await someDead()
  await late.query('commit')
  await late.end()
  await waitFor(() => broker.sequences().get('key'), { message: 'the late row' })
  accept()
  await settle(operator, id, 'put back')
  await emptied()
  expect(broker.sequences().get('key')).toEqual([1, 2, 3])
})

test('put back while its broker is away, a row waits like any other and comes in its place', async () => {
  const away = new AppError('away', 'away', { retry: 'transient-everything' })
  broker.handle = refuse(broker, isMessage('key', 2))
  await startDrain()
  for (let round = 0; round < 5; round += 1) await count(service, 'key')
  const [id = 0] = await someDead()
  await emptied()
  broker.handle = (rows) => rows.map(() => away)
  await count(service, 'other')
  expect(await settle(operator, id, 'put back')).toBe(3)
  await count(service, 'key')
  await waitFor(async () => (await database.query('select from outbox')).length >= 6, {
    message: 'all is back in the outbox',
  })
  accept()
  await emptied()
  expect(broker.inversions()).toEqual([])
  expect(broker.sequences().get('key')).toHaveLength(6)
})

test('a new owner knows the halted keys before its first send', async () => {
  broker.handle = refuse(broker, isMessage('key', 2))
  const first = await startDrain()
  for (let round = 0; round < 3; round += 1) await count(service, 'key')
  const [id = 0] = await someDead()
  await first.stop()
  for (let round = 0; round < 3; round += 1) await count(service, 'key')
  accept()
  await startDrain()
  await emptied()
  expect(broker.sequences().get('key')).toEqual([1])
  expect(await settle(operator, id, 'put back')).toBe(4)
  await emptied()
  expect(broker.sequences().get('key')).toEqual([1, 2, 3, 4, 5, 6])
})

test('stopped while it looks again at what is dead, it stops all the same', async () => {
  const drain = await startDrain()
  await count(service, 'key')
  await emptied()
  const [lease, dead, watch] = [await asAdmin(), await asAdmin(), await asAdmin()]
  await lease.query('begin')
  await lease.query('update outbox_lease set epoch = epoch + 1')
  await waitFor(() => isWaiting(watch, 'lease'), { message: 'it renews its lease' })
  await dead.query('begin')
  await dead.query('lock table outbox_dead in access exclusive mode')
  await lease.query('commit')
  await waitFor(() => isWaiting(watch, 'read'), { message: 'it looks at the dead rows' })
  const stopped = drain.stop().then(() => 'stopped')
  await dead.query('commit')
  await Promise.all([lease, dead, watch].map((client) => client.end()))
  expect(await Promise.race([stopped, delay(20_000, 'still there')])).toBe('stopped')
})

async function asAdmin(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.adminUrl })
  await client.connect()
  return client
}

/** Whether the relay's connection for this purpose waits for a lock. */
async function isWaiting(watch: pg.Client, purpose: 'lease' | 'read'): Promise<boolean> {
  const { rows } = await watch.query<{ name: string }>(
    `select application_name as name from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return rows.some(({ name }) => name === `outbox-relay kafka ${purpose}`)
}

test('what waits goes on when its destination is no longer to halt', async () => {
  broker.handle = refuse(broker, isMessage('key', 2))
  const first = await startDrain()
  for (let round = 0; round < 4; round += 1) await count(service, 'key')
  await someDead()
  await emptied()
  await first.stop()
  await startDrain({ policy: 'skip' })
  await emptied()
  await waitFor(() => broker.sequences().get('key')?.length === 3, { message: 'what waited' })
  expect(broker.sequences().get('key')).toEqual([1, 3, 4])
  expect(await deadIds()).toHaveLength(1)
})

/** Rows die and are put back all the time, by operators in other processes; every tenth is refused until it was put back. */
async function expectOrderWhileRowsDie(disturb: (round: number) => Promise<void>): Promise<void> {
  const repaired = new Set<number>()
  broker.handle = refuse(broker, (row) => {
    const isCounted = row.destination === 'test.counted'
    return isCounted && sequenceOf(row) % 10 === 0 && !repaired.has(row.id)
  })
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  let written = 0
  const writing = keys.map(async (key) => {
    for (let round = 0; round < 45; round += 1) await count(service, key)
    written += 1
  })
  const isOver = async () => {
    const left = await database.query('select from outbox union all select from outbox_dead')
    return written === keys.length && left.length === 0
  }
  let round = 0
  await waitFor(
    async () => {
      await disturb((round += 1))
      for (const id of await deadIds()) {
        repaired.add(id)
        // The connection may be what was disturbed; what has gone back already is not there.
        await settle(operator, id, 'put back').catch(() => undefined)
      }
      return await isOver()
    },
    { message: 'everything is published', timeoutMs: 40_000 },
  )
  await Promise.all(writing)
  expect(broker.inversions()).toEqual([])
  const lengths = keys.map((key) => broker.sequences().get(key)?.length)
  expect(lengths).toEqual(keys.map(() => 45))
}

test('rows die and come back all the time, and every key keeps its order', async () => {
  await startDrain({ bounds: { batchRowsMax: 9 } })
  await expectOrderWhileRowsDie(async () => undefined)
})

test('two relays take over from each other while rows die and come back: every key keeps its order', async () => {
  let current = await startDrain({ bounds: { batchRowsMax: 9 } })
  await expectOrderWhileRowsDie(async (round) => {
    if (round % 5 !== 0) return
    const next = await startDrain({ bounds: { batchRowsMax: 9 } })
    await current.stop()
    current = next
  })
})

test('connections that Postgres ends while rows die and come back cost nothing and no order', async () => {
  await startDrain({ bounds: { batchRowsMax: 9 } })
  const admin = await asAdmin()
  try {
    await expectOrderWhileRowsDie(async (round) => {
      if (round % 4 !== 0 || round > 40) return
      await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and usename = 'relay'`,
      )
    })
  } finally {
    await admin.end()
  }
})
