import { messageDeadLetteredV1, messageResolvedV1 } from '@edp/event-schemas'
import type { Drain } from '@edp/outbox/drain'
import { type Database, renderMetrics } from '@edp/runtime'
import { type TestDatabase, waitFor } from '@edp/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { drainOf, isMessage, openOperator, refuse, settle } from './dead-row-fixture.ts'
import { count, openService, outboxDatabase } from './outbox-database.ts'
import { RecordingPublisher } from './recording-publisher.ts'

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

async function countTimes(key: string, times: number): Promise<void> {
  for (let round = 0; round < times; round += 1) await count(service, key)
}

const emptied = () =>
  waitFor(async () => (await database.query('select from outbox')).length, {
    message: 'the outbox is empty',
    until: (rows) => rows === 0,
  })

const deadRows = () => database.query('select * from outbox_dead order by id')
const deadIds = async () =>
  (await deadRows()).filter((row) => row['status'] === 'dead').map((row) => Number(row['id']))

async function oneDeadId(): Promise<number> {
  const [id] = await waitFor(deadIds, { message: 'a dead row', until: (ids) => ids.length === 1 })
  return id ?? 0
}

const facts = (type: string) =>
  broker.log.filter((row) => row.type === type).map((row) => JSON.parse(row.payload))

test('halted, a key goes on in its order once its dead row is back, and no other key has waited', async () => {
  broker.handle = refuse(broker, isMessage('hot', 5))
  const drain = await startDrain({ bounds: { batchRowsMax: 7 } })
  const hot = countTimes('hot', 40)
  await Promise.all(['b', 'c', 'd'].map((key) => countTimes(key, 30)))
  await hot
  await emptied()
  expect(broker.sequences().get('hot')).toEqual([1, 2, 3, 4])
  expect(['b', 'c', 'd'].map((key) => broker.sequences().get(key)?.length)).toEqual([30, 30, 30])
  expect((await deadRows()).map((row) => row['status'])).toEqual([
    'dead',
    ...Array(35).fill('waiting'),
  ])
  broker.handle = (rows) => broker.accept(rows)
  expect(await settle(operator, await oneDeadId(), 'put back')).toBe(35)
  await countTimes('hot', 20)
  await emptied()
  expect(broker.inversions()).toEqual([])
  expect(broker.sequences().get('hot')).toHaveLength(60)
  expect(await deadRows()).toEqual([])
  await waitFor(() => drain.report().status, {
    message: 'the drain says that nothing is dead',
    until: (status) => status === 'ok',
  })
})

test('skipped, a key goes on without its dead row, which comes when it is back', async () => {
  broker.handle = refuse(broker, isMessage('hot', 3))
  await startDrain({ policy: 'skip' })
  await countTimes('hot', 6)
  const id = await oneDeadId()
  await emptied()
  expect(broker.sequences().get('hot')).toEqual([1, 2, 4, 5, 6])
  broker.handle = (rows) => broker.accept(rows)
  expect(await settle(operator, id, 'put back')).toBe(0)
  await waitFor(() => broker.sequences().get('hot')?.at(-1) === 3, { message: 'the repaired row' })
})

test('several dead rows in one window are each found, each with its letter, and all else is published', async () => {
  const isPoison = ({ key }: { key: string }) => key.startsWith('bad')
  broker.handle = refuse(broker, isPoison)
  const keys = Array.from({ length: 60 }, (_, index) =>
    index % 4 === 0 ? `bad-${index}` : `k-${index}`,
  )
  await Promise.all(keys.map((key) => count(service, key)))
  await startDrain()
  await emptied()
  expect((await deadRows()).map((row) => String(row['key'])).toSorted()).toEqual(
    keys.filter((key) => isPoison({ key })).toSorted(),
  )
  expect(broker.sequences().size).toBe(45)
  expect(
    facts('message.dead-lettered.v1')
      .map(({ key }) => String(key))
      .toSorted(),
  ).toEqual(keys.filter((key) => isPoison({ key })).toSorted())
})

test('a dead row tells of itself: its letter, the health of its drain, the metrics', async () => {
  broker.handle = refuse(broker, isMessage('bad', 1))
  const drain = await startDrain()
  await count(service, 'bad')
  await emptied()
  const [row] = await deadRows()
  const letter = broker.log.find(({ destination }) => destination === 'test.dead-letters')
  expect(letter).toMatchObject({ key: row?.['message_id'], type: messageDeadLetteredV1.type })
  expect(messageDeadLetteredV1.body.parse(JSON.parse(letter?.payload ?? ''))).toMatchObject({
    consumer: 'outbox-relay.test',
    messageId: row?.['message_id'],
    source: 'outbox',
    position: `outbox/kafka/${String(row?.['id'])}`,
    type: 'test.counted.v1',
    key: 'bad',
    correlationId: 'bad',
    content: { body: '{"sequence":1}', encoding: 'utf8', headers: { ce_subject: 'bad' } },
    reason: 'outbox-unpublishable',
    error: { code: 'message-too-large', message: 'too large' },
  })
  expect(row).toMatchObject({ error_code: 'message-too-large', error_message: 'too large' })
  await waitFor(() => drain.report(), {
    message: 'the drain says so',
    until: ({ status, detail }) =>
      status === 'degraded' && detail?.startsWith('1 dead row') === true,
  })
  const { body } = await renderMetrics()
  expect(body).toContain('edp_outbox_dead_rows{database="test",transport="kafka",status="dead"} 1')
})

test('a dead letter that is dead makes no other one', async () => {
  broker.handle = refuse(
    broker,
    (row) => row.key === 'bad' || row.type === messageDeadLetteredV1.type,
  )
  await startDrain()
  await count(service, 'bad')
  await waitFor(deadIds, { message: 'both are dead', until: (ids) => ids.length === 2 })
  await emptied()
  await count(service, 'good')
  await emptied()
  expect((await deadRows()).map((row) => row['type'])).toEqual([
    'test.counted.v1',
    'message.dead-lettered.v1',
  ])
  const { body } = await renderMetrics()
  expect(body).toContain(
    'edp_outbox_dead_without_letter_total{database="test",transport="kafka"} 1',
  )
})

test('given up, a row is never published, its key goes on, and its letter is resolved', async () => {
  broker.handle = refuse(broker, isMessage('hot', 2))
  await startDrain()
  await countTimes('hot', 4)
  const id = await oneDeadId()
  await emptied()
  expect(await settle(operator, id, 'discard')).toBe(2)
  await emptied()
  expect(broker.sequences().get('hot')).toEqual([1, 3, 4])
  const [resolved] = facts(messageResolvedV1.type)
  expect(messageResolvedV1.body.parse(resolved)).toMatchObject({
    consumer: 'outbox-relay.test',
    outcome: 'discarded',
  })
})

test('put back twice it is put back once, and refused again it is dead again', async () => {
  broker.handle = refuse(broker, isMessage('hot', 2))
  await startDrain()
  await countTimes('hot', 3)
  const id = await oneDeadId()
  await emptied()
  // Not refused again before both have been answered: then it would be dead a second time, and may be put back a second time.
  const answered = Promise.withResolvers<void>()
  const refuseAgain = broker.handle
  broker.handle = async (rows) => {
    await answered.promise
    return refuseAgain(rows)
  }
  const both = await Promise.all([
    settle(operator, id, 'put back'),
    settle(operator, id, 'put back').catch(() => undefined),
  ])
  answered.resolve()
  expect(both.filter((followers) => followers !== undefined)).toHaveLength(1)
  await waitFor(() => facts(messageDeadLetteredV1.type).length === 2, { message: 'another letter' })
  await emptied()
  expect(await deadIds()).toEqual([id])
  expect((await deadRows()).map((row) => row['status'])).toEqual(['dead', 'waiting'])
  const said = broker.log.filter(({ destination }) => destination === 'test.dead-letters')
  expect(said.map(({ type }) => type)).toEqual([
    messageDeadLetteredV1.type,
    messageResolvedV1.type,
    messageDeadLetteredV1.type,
  ])
})
