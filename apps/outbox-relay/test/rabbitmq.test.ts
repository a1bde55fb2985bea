import { createRabbitPublisher } from '@edp/messaging'
import type { OutboxRow, Publisher } from '@edp/outbox'
import { createDrain, type Drain } from '@edp/outbox/drain'
import { type Component, createLogger, type Database } from '@edp/runtime'
import {
  type Proxy,
  proxyToUrl,
  stack,
  type TestDatabase,
  uniqueNamespace,
  waitFor,
} from '@edp/testkit'
import { type Channel, type ChannelModel, connect } from 'amqplib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  count,
  countersDatabase,
  countersOf,
  openCounters,
  startWriters,
} from './counted-messages.ts'

const logger = createLogger('test', 'silent')
const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`)

let database: TestDatabase
let counters: Database
let namespace: string
let connection: ChannelModel
let channel: Channel
let proxy: Proxy
let rabbitmq: Publisher & Component
let drain: Drain
let windows: (readonly OutboxRow[])[]
let writers: { stop(): Promise<void> } | undefined
let arrived: Set<string>

beforeEach(async () => {
  database = await countersDatabase()
  counters = openCounters(database)
  namespace = uniqueNamespace()
  connection = await connect(stack().rabbitmqUrl)
  channel = await connection.createChannel()
  await channel.assertExchange(`${namespace}.counts`, 'direct', { durable: true })
  await channel.assertQueue(`${namespace}.counter`, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum' },
  })
  arrived = new Set()
  await channel.consume(`${namespace}.counter`, (message) => {
    if (message === null) return
    const { sequence } = JSON.parse(message.content.toString())
    arrived.add(`${message.properties.headers?.['cloudEvents_subject']} ${sequence}`)
    channel.ack(message)
  })
  const way = await proxyToUrl(stack().rabbitmqUrl)
  proxy = way.proxy
  rabbitmq = createRabbitPublisher({ url: way.url, logger })
  windows = []
  drain = createDrain({
    database: 'test',
    url: database.relayUrl,
    transport: 'rabbitmq',
    publisher: {
      publish: (rows) => {
        windows.push(rows)
        return rabbitmq.publish(rows)
      },
    },
    namespace,
    logger,
    bounds: { pauseBackoff: { baseMs: 5, capMs: 200 } },
  })
  await drain.start()
})

afterEach(async () => {
  await writers?.stop()
  await drain.stop()
  await rabbitmq.stop()
  await proxy.close()
  await channel.deleteQueue(`${namespace}.counter`)
  await channel.deleteExchange(`${namespace}.counts`)
  await connection.close()
  await counters.end()
  await database.drop()
})

const bind = () =>
  channel.bindQueue(`${namespace}.counter`, `${namespace}.counts`, `${namespace}.counter`)
const write = (key: string) => count(counters, key, { namespace, transport: 'rabbitmq' })

async function expectAllArrived(): Promise<void> {
  const wanted = [...(await countersOf(database)).values()].reduce((sum, last) => sum + last, 0)
  await waitFor(() => arrived.size, {
    message: `all ${wanted} messages`,
    until: (many) => many === wanted,
    timeoutMs: 30_000,
  })
  const rows = await waitFor(() => database.query('select from outbox'), {
    message: 'the outbox is empty',
    until: (left) => left.length === 0,
  })
  expect(rows).toEqual([])
}

test('every message is confirmed and deleted, and a window holds one row of a key', async () => {
  await bind()
  writers = startWriters(write, keys)
  await waitFor(() => arrived.size > 300, { message: 'some hundred messages', timeoutMs: 30_000 })
  await writers.stop()
  await expectAllArrived()
  const shared = windows.filter((rows) => new Set(rows.map((row) => row.key)).size < rows.length)
  expect(shared).toEqual([])
  expect(Math.max(...windows.map((rows) => rows.length))).toBeGreaterThan(1)
})

test('what no queue takes is not lost: its destination is paused until one does', async () => {
  await Promise.all(keys.map(write))
  await waitFor(() => drain.report(), {
    message: 'the drain says that the destination takes nothing',
    until: ({ status, detail }) => status === 'degraded' && detail?.includes('counts') === true,
  })
  expect(await database.query('select from outbox')).toHaveLength(keys.length)
  await bind()
  await expectAllArrived()
  expect(drain.report().status).toBe('ok')
})

test('connections that are cut, and a broker that is away, lose nothing', async () => {
  await bind()
  writers = startWriters(write, keys)
  for (let cuts = 0; cuts < 6; cuts += 1) {
    const before = arrived.size
    await waitFor(() => arrived.size > before + 20, { message: 'messages' })
    proxy.drop()
  }
  await proxy.cut()
  await waitFor(() => drain.report().status === 'degraded', { message: 'the outage is reported' })
  await proxy.open()
  await writers.stop()
  await expectAllArrived()
})
