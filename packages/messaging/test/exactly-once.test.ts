import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { OutboxRow } from '@edp/outbox'
import { type Component, createHealth, createLogger } from '@edp/runtime'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { Kafka, logLevel } from 'kafkajs'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createKafkaConsumer, createKafkaPublisher, ensureTopics } from '../src/index.ts'
import { addition } from './fixtures/counter-messages.ts'
import { useCounterService } from './fixtures/counter-pipeline.ts'
import { counterConsumer, counterTopic, outboxRows } from './fixtures/counter-service.ts'
import { startMember as startCounterMember } from './fixtures/start-member.ts'

const service = useCounterService()
const brokers = stack().kafkaBrokers
const logger = createLogger('exactly-once', 'silent')
const publisher = createKafkaPublisher({ brokers, clientId: 'exactly-once', logger })
const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
const running: Component[] = []
const children: ChildProcess[] = []
let namespace: string

beforeAll(async () => {
  await publisher.start()
  await admin.connect()
})
beforeEach(async () => {
  namespace = uniqueNamespace()
  await ensureTopics({ brokers, namespace, topics: [counterTopic] })
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await Promise.all(running.splice(0).map((component) => component.stop()))
})
afterAll(async () => {
  await publisher.stop()
  await admin.disconnect()
})

const crashes: unknown[] = []

async function startConsumer(): Promise<Component> {
  const consumer = counterConsumer()
  const component = createKafkaConsumer({
    brokers,
    namespace,
    consumer,
    pipeline: service().pipeline({ consumer }),
    logger,
    health: createHealth(),
    onCrash: (error) => crashes.push(error),
  })
  running.push(component)
  await component.start()
  return component
}

let seq = 0

/** Messages of 40 keys, `count` of them, each adding 1. */
async function publish(count: number): Promise<OutboxRow[]> {
  const rows = outboxRows(
    Array.from({ length: count }, () => {
      seq += 1
      return addition({ key: `key-${seq % 40}`, seq, amount: 1 }, { namespace })
    }),
  )
  await publishAll(rows)
  return rows
}

async function publishAll(rows: OutboxRow[]): Promise<void> {
  expect(await publisher.publish(rows)).toEqual(rows.map(() => undefined))
}

async function applied(): Promise<number> {
  const [row] = await service().db.query('select count(*)::int as applied from applied')
  return Number(row?.['applied'])
}

async function untilApplied(count: number): Promise<void> {
  await waitFor(applied, {
    until: (value) => value >= count,
    timeoutMs: 40_000,
    message: `${count} messages applied`,
  })
}

/** Every effect is there once, and the totals say the same. */
async function expectEachOnce(count: number): Promise<void> {
  expect(await service().appliedTwice()).toEqual([])
  expect(await applied()).toBe(count)
  const sql = 'select sum(total)::int as total, sum(out_of_order)::int as late from counters'
  expect(await service().db.query(sql)).toEqual([{ total: count, late: 0 }])
  expect(crashes).toEqual([])
}

/** Waits until the group has committed the end of every partition. */
async function untilCaughtUp(): Promise<void> {
  const topic = `${namespace}.${counterTopic.name}`
  const groupId = `${namespace}.counter-service.kafka`
  await waitFor(
    async () => {
      const [committed] = await admin.fetchOffsets({ groupId, topics: [topic] })
      const ends = await admin.fetchTopicOffsets(topic)
      const offsets = new Map(committed?.partitions.map((at) => [at.partition, at.offset]))
      return ends.every(({ partition, high }) => high === '0' || offsets.get(partition) === high)
    },
    { timeoutMs: 30_000, message: 'the group has committed every partition' },
  )
}

test('every message published twice, the copies side by side, is applied once', async () => {
  await startConsumer()
  const rows = await publish(1000)
  await publishAll(rows.flatMap((row) => [row, row]))
  await untilApplied(1000)
  await untilCaughtUp()
  await expectEachOnce(1000)
})

test('rewinding the group to the beginning changes no effect', async () => {
  const first = await startConsumer()
  await publish(2000)
  await untilApplied(2000)
  await first.stop()
  const topic = `${namespace}.${counterTopic.name}`
  await admin.resetOffsets({ groupId: `${namespace}.counter-service.kafka`, topic, earliest: true })
  await startConsumer()
  await publish(10)
  await untilApplied(2010)
  await untilCaughtUp()
  await expectEachOnce(2010)
})

test('a second process joins and is killed under load: no effect is lost or doubled', async () => {
  await startConsumer()
  let published = 0
  const load = async (): Promise<void> => {
    published += (await publish(200)).length
  }
  await load()
  await untilApplied(published)
  const member = startMember()
  const handled = once(member.stdout, 'data')
  let isHandling = false
  void handled.then(() => (isHandling = true))
  await waitFor(
    async () => {
      await load()
      return isHandling
    },
    { timeoutMs: 30_000, message: 'the second process handles messages' },
  )
  member.kill('SIGKILL')
  await once(member, 'exit')
  for (let batch = 0; batch < 10; batch += 1) await load()
  await untilApplied(published)
  await untilCaughtUp()
  await expectEachOnce(published)
})

function startMember() {
  const databaseUrl = service().db.serviceUrl
  const child = startCounterMember({ namespace, databaseUrl, broker: brokers.join(',') })
  children.push(child)
  return child
}
