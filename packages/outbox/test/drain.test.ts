import { createDrain, type Drain, type DrainBounds } from '@edp/outbox/drain'
import { AppError, createLogger, type Database } from '@edp/runtime'
import { proxyToUrl, type TestDatabase, waitFor } from '@edp/testkit'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { count, countLate, openService, outboxDatabase } from './outbox-database.ts'
import { RecordingPublisher } from './recording-publisher.ts'

let database: TestDatabase
let service: Database
let broker: RecordingPublisher
let drains: Drain[]

beforeEach(async () => {
  database = await outboxDatabase()
  service = openService(database)
  broker = new RecordingPublisher()
  drains = []
})

afterEach(async () => {
  await Promise.all(drains.map((drain) => drain.stop()))
  await service.end()
  await database.drop()
})

async function startDrain(
  bounds: Partial<DrainBounds> = {},
  url = database.relayUrl,
): Promise<Drain> {
  const drain = createDrain({
    database: 'test',
    url,
    transport: 'kafka',
    publisher: broker,
    namespace: 'test',
    logger: createLogger('test', 'silent'),
    bounds: { pauseBackoff: { baseMs: 5, capMs: 50 }, standbyPollMs: 20, ...bounds },
  })
  drains.push(drain)
  await drain.start()
  return drain
}

const rowsLeft = async () => (await database.query('select from outbox')).length

const emptied = () =>
  waitFor(rowsLeft, { message: 'the outbox is empty', until: (rows) => rows === 0 })

const keys = Array.from({ length: 10 }, (_, index) => `key-${index}`)
const away = new AppError('away', 'away', { retry: 'transient-everything' })

/** Counts every key up so many times, all keys at once. */
async function countAll(times: number): Promise<void> {
  await Promise.all(
    keys.map(async (key) => {
      for (let round = 0; round < times; round += 1) await count(service, key)
    }),
  )
}

test('what was committed is published once, in the order of its key, and deleted', async () => {
  await countAll(5)
  await startDrain({ batchRowsMax: 7 })
  await countAll(5)
  await emptied()
  expect(broker.inversions()).toEqual([])
  expect(broker.log).toHaveLength(100)
})

test('a row is published as it was enqueued', async () => {
  await count(service, 'key-1', 'some-namespace')
  await startDrain()
  await emptied()
  const [row] = broker.log
  expect(row).toMatchObject({
    destination: 'some-namespace.counted',
    key: 'key-1',
    type: 'test.counted.v1',
    payload: '{"sequence":1}',
    headers: { ce_id: row?.messageId, ce_subject: 'key-1', 'content-type': 'application/json' },
  })
})

test('what was rolled back is never published', async () => {
  await startDrain()
  const failing = countLate(service, 'undone', () => Promise.reject(new Error('no')))
  await expect(failing).rejects.toThrow('no')
  await count(service, 'key-1')
  await emptied()
  expect(broker.log.map((row) => row.key)).toEqual(['key-1'])
})

test('a row that commits late with a lower id is published, and its key keeps its order', async () => {
  await startDrain()
  const drawn = Promise.withResolvers<void>()
  const overtaken = Promise.withResolvers<void>()
  const late = countLate(service, 'late', () => {
    drawn.resolve()
    return overtaken.promise
  })
  await drawn.promise
  await countAll(20)
  await emptied()
  expect(broker.log).toHaveLength(200)
  overtaken.resolve()
  await late
  await count(service, 'late')
  await emptied()
  expect(broker.sequences().get('late')).toEqual([1, 2])
  expect(broker.inversions()).toEqual([])
  expect(broker.log).toHaveLength(202)
})

test('a failed send with the next batch already fetched inverts nothing', async () => {
  let failures = 0
  broker.handle = async (rows) => {
    // So long that the next batch is there.
    await new Promise((resolve) => setTimeout(resolve, 20))
    if (rows.some((row) => row.id % 5 === 0) && failures < 8) {
      failures += 1
      // Some keys arrived although the answer says no.
      broker.log.push(...rows.filter((row) => row.key < 'key-4'))
      return rows.map(() => away)
    }
    return broker.accept(rows)
  }
  await countAll(10)
  await startDrain({ batchRowsMax: 10 })
  await emptied()
  expect(failures).toBe(8)
  expect(broker.inversions()).toEqual([])
  expect(new Set(broker.log.map((row) => row.id)).size).toBe(100)
})

test('a destination that is away is paused alone, nothing of it is lost, and it resumes in order', async () => {
  let isAway = true
  broker.handle = (rows) => {
    const here = rows.filter((row) => !(isAway && row.destination.startsWith('away')))
    broker.log.push(...here)
    return rows.map((row) => (here.includes(row) ? undefined : away))
  }
  const drain = await startDrain({ batchRowsMax: 10 })
  for (let round = 0; round < 20; round += 1) {
    await Promise.all([...keys].map((key) => count(service, key, round % 2 ? 'away' : 'here')))
  }
  await waitFor(() => broker.log.length, {
    message: 'everything for the other destination',
    until: (rows) => rows === 100,
  })
  await waitFor(() => drain.report(), {
    message: 'the drain says that it is degraded',
    until: (report) => report.status === 'degraded',
  })
  // What was published is deleted a moment later.
  await waitFor(rowsLeft, {
    message: 'the rows of the other destination are deleted',
    until: (rows) => rows === 100,
  })
  isAway = false
  await emptied()
  expect(drain.report().status).toBe('ok')
  expect(broker.log).toHaveLength(200)
  const byDestination = Map.groupBy(broker.log, (row) => `${row.destination} ${row.key}`)
  for (const rows of byDestination.values()) {
    expect(rows.map((row) => row.id)).toEqual(rows.map((row) => row.id).toSorted((a, b) => a - b))
  }
})

test('of two drains one works, the other one takes over at once when the first stops', async () => {
  // It would last for longer than this test: the second one has to be given it.
  const lease = { leaseMs: 3_600_000 }
  const first = await startDrain(lease)
  await waitFor(() => first.report().detail === 'drains', { message: 'the first has the lease' })
  const second = await startDrain(lease)
  await countAll(3)
  await emptied()
  expect(second.report()).toEqual({ status: 'ok', detail: 'stands by' })
  await first.stop()
  await waitFor(() => second.report().detail === 'drains', { message: 'the second has the lease' })
  await countAll(3)
  await emptied()
  expect(broker.inversions()).toEqual([])
  expect(broker.log).toHaveLength(60)
})

test('a drain that takes longer to connect than its lease lasts drains all the same', async () => {
  const { proxy, url } = await proxyToUrl(database.relayUrl, { delayMs: 700 })
  await countAll(1)
  // It connects twice with the lease in hand.
  const drain = await startDrain({ leaseMs: 1500, marginMs: 300 }, url)
  await emptied()
  expect(broker.inversions()).toEqual([])
  await drain.stop()
  await proxy.close()
})

test('a stop publishes no more, and deletes what was acknowledged', async () => {
  const sent = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  broker.handle = async (rows) => {
    sent.resolve()
    await answer.promise
    return broker.accept(rows)
  }
  await countAll(2)
  const drain = await startDrain({ batchRowsMax: 5 })
  await sent.promise
  const stopped = drain.stop()
  answer.resolve()
  await stopped
  expect(broker.log).toHaveLength(5)
  expect(await rowsLeft()).toBe(15)
})

test('connections that Postgres ends are made again, and nothing is lost', async () => {
  await startDrain()
  const writing = countAll(30)
  for (let round = 0; round < 5; round += 1) {
    const before = broker.log.length
    await waitFor(() => broker.log.length > before || broker.log.length >= 300, {
      message: 'the drain publishes',
    })
    await endRelayConnections()
  }
  await writing
  await emptied()
  expect(broker.inversions()).toEqual([])
})

async function endRelayConnections(): Promise<void> {
  const admin = new pg.Client({ connectionString: database.adminUrl })
  await admin.connect()
  await admin.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and usename = 'relay'`,
  )
  await admin.end()
}

test('what the fetches missed is found by the scan from zero, reported and published', async () => {
  const drain = await startDrain({ scanIntervalMs: 50 })
  await countAll(1)
  await emptied()
  // A transaction that writes nothing before it draws its id breaks the rule on which the fetches rely.
  await database.query(
    `insert into outbox (transport, id, message_id, destination, key, type, payload, headers)
     overriding system value
     values ('kafka', 1, gen_random_uuid(), 'd', 'missed', 't.v1', '{"sequence":1}', '{}')`,
  )
  await emptied()
  expect(broker.log.at(-1)?.key).toBe('missed')
  expect(drain.report().status).toBe('ok')
})
