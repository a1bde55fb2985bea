import { createKafkaPublisher } from '@edp/messaging'
import type { Publisher } from '@edp/outbox'
import { createDrain, type Drain } from '@edp/outbox/drain'
import { AppError, type Component, createLogger, type Database } from '@edp/runtime'
import { seededRandom, stack, type TestDatabase, waitFor } from '@edp/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  count,
  countersDatabase,
  countersOf,
  openCounters,
  startWriters,
} from './counted-messages.ts'
import { expectAllInOrder, TopicLog } from './topic-log.ts'

const logger = createLogger('test', 'silent')
const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)
const random = seededRandom('kafka failures')

let database: TestDatabase
let counters: Database
let log: TopicLog
let kafka: Publisher & Component
let drain: Drain | undefined
let writers: { stop(): Promise<void> }

beforeEach(async () => {
  database = await countersDatabase()
  counters = openCounters(database)
  log = new TopicLog()
  kafka = createKafkaPublisher({ brokers: stack().kafkaBrokers, clientId: 'test', logger })
  writers = startWriters((key) => count(counters, key, log), keys)
})

afterEach(async () => {
  await writers.stop()
  await drain?.stop()
  await kafka.stop()
  await counters.end()
  await log.remove()
  await database.drop()
})

async function startDrain(publisher: Publisher): Promise<Drain> {
  drain = createDrain({
    database: 'test',
    url: database.relayUrl,
    transport: 'kafka',
    publisher,
    namespace: log.namespace,
    logger,
    bounds: { batchRowsMax: 50, pauseBackoff: { baseMs: 5, capMs: 200 } },
  })
  await drain.start()
  return drain
}

test('a topic that is not there pauses its destination, and nothing is lost when it comes', async () => {
  const draining = await startDrain(kafka)
  await waitFor(() => draining.report(), {
    message: 'the drain says that the topic is not there',
    until: ({ status, detail }) => status === 'degraded' && detail?.includes(log.topic) === true,
  })
  await log.createTopic()
  await log.read()
  await waitFor(() => draining.report(), {
    message: 'the destination takes messages again',
    until: ({ status }) => status === 'ok',
    timeoutMs: 30_000,
  })
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
})

test('sends that fail, with or without having arrived, lose nothing and invert no key', async () => {
  await log.createTopic()
  await log.read()
  const lost = new AppError('lost', 'the connection is lost', { retry: 'transient-everything' })
  let failures = 0
  await startDrain({
    publish: async (rows) => {
      const fate = random.below(4)
      if (fate > 1) return await kafka.publish(rows)
      failures += 1
      // As a connection that breaks: before the messages were sent, or before they were acknowledged.
      if (fate === 1) await kafka.publish(rows.slice(0, random.below(rows.length + 1)))
      throw lost
    },
  })
  await waitFor(() => failures, { message: 'thirty failed sends', until: (many) => many >= 30 })
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
  expect(failures).toBeGreaterThanOrEqual(30)
})

test('while the broker is away nothing is lost, and then every key goes on in order', async () => {
  await log.createTopic()
  await log.read()
  const away = new AppError('away', 'the broker is away', { retry: 'transient-everything' })
  let isAway = true
  const draining = await startDrain({
    publish: (rows) => (isAway ? Promise.resolve(rows.map(() => away)) : kafka.publish(rows)),
  })
  await waitFor(async () => Math.min(...(await countersOf(database)).values()), {
    message: 'a backlog',
    until: (least) => least > 50,
    timeoutMs: 30_000,
  })
  // The backlog may be there before the drain has tried for the first time.
  await waitFor(() => draining.report().status, {
    message: 'the drain says that the broker is away',
    until: (status) => status === 'degraded',
  })
  expect(log.messages).toEqual([])
  isAway = false
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
})
