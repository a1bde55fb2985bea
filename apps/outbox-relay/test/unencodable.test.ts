import { stack, type TestDatabase, uniqueNamespace, waitFor } from '@edp/testkit'
import { type Channel, type ChannelModel, connect } from 'amqplib'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { countersDatabase } from './counted-messages.ts'
import { RelayProcess } from './relay-process.ts'
import { TopicLog } from './topic-log.ts'

// Rows that only somebody who wrote into the outbox by hand can have made. They must not stop anything.

let database: TestDatabase
let log: TopicLog
let connection: ChannelModel
let channel: Channel
let queue: string
let relay: RelayProcess

beforeEach(async () => {
  database = await countersDatabase()
  log = new TopicLog()
  await log.createTopic()
  await log.read()
  queue = `${uniqueNamespace()}.queue`
  connection = await connect(stack().rabbitmqUrl)
  channel = await connection.createChannel()
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  relay = new RelayProcess(database, { MESSAGING_NAMESPACE: log.namespace })
})

afterEach(async () => {
  await relay.stop()
  await channel.deleteQueue(queue)
  await connection.close()
  await log.remove()
  await database.drop()
})

async function insert(
  transport: 'kafka' | 'rabbitmq',
  rows: readonly { destination: string; key: string; headers: string }[],
): Promise<void> {
  await database.query(
    `insert into outbox (transport, message_id, destination, key, type, payload, headers)
     select $1, gen_random_uuid(), destination, key, 'test.counted.v1', '{"sequence":1}', headers::json
     from json_to_recordset($2::json) as r (destination text, key text, headers text)`,
    [transport, JSON.stringify(rows)],
  )
}

const deadKeys = async () => {
  const rows = await database.query(
    `select key, error_code from outbox_dead where status = 'dead' order by key`,
  )
  return rows.map((row) => `${String(row['key'])}: ${String(row['error_code'])}`)
}
const whole = '{"ce_id":"x","ce_subject":"good"}'

test('headers that Kafka cannot carry are dead, each by itself, and all else is published', async () => {
  const broken = ['null', '5', '[1]', '{"a":{"b":1}}', '{"n":1}']
  const bad = broken.map((headers, index) => ({
    destination: log.topic,
    key: `bad-${index}`,
    headers,
  }))
  const good = Array.from({ length: 20 }, (_, index) => ({
    destination: log.topic,
    key: `good-${index}`,
    headers: whole,
  }))
  await insert(
    'kafka',
    [...bad, ...good].toSorted((a, b) => a.headers.localeCompare(b.headers)),
  )
  await waitFor(() => log.messages.length, { message: 'all others', until: (many) => many === 20 })
  expect(
    await waitFor(deadKeys, { message: 'the broken ones', until: (keys) => keys.length === 5 }),
  ).toEqual(bad.map(({ key }) => `${key}: cannot-encode`))
  await waitFor(() => log.letters.length, { message: 'letters', until: (many) => many === 5 })
})

test('what RabbitMQ cannot carry is dead, each by itself, and all else is published', async () => {
  const to = `/${queue}`
  const bad = [
    { destination: to, key: 'bad-0', headers: 'null' },
    { destination: to, key: 'bad-1', headers: '[1]' },
    { destination: to, key: 'bad-2', headers: `{"cloudEvents_id":"${'x'.repeat(300)}"}` },
    { destination: `/${'q'.repeat(300)}`, key: 'bad-3', headers: '{"cloudEvents_id":"x"}' },
    { destination: 'no-routing-key', key: 'bad-4', headers: '{"cloudEvents_id":"x"}' },
  ]
  const good = Array.from({ length: 20 }, (_, index) => ({
    destination: to,
    key: `good-${index}`,
    headers: '{"cloudEvents_id":"x","cloudEvents_type":"t.v1"}',
  }))
  await insert('rabbitmq', good.slice(0, 10))
  await insert('rabbitmq', bad)
  await insert('rabbitmq', good.slice(10))
  await waitFor(async () => (await channel.checkQueue(queue)).messageCount, {
    message: 'all others',
    until: (many) => many === 20,
  })
  expect(
    await waitFor(deadKeys, { message: 'the broken ones', until: (keys) => keys.length === 5 }),
  ).toEqual(bad.map(({ key }) => `${key}: cannot-encode`))
  // A letter about a row of either transport goes by Kafka.
  await waitFor(() => log.letters.length, { message: 'letters', until: (many) => many === 5 })
})
