import { createLogger } from '@edp/runtime'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { type ChannelModel, connect, type ConfirmChannel } from 'amqplib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  createRabbitConsumer,
  createRabbitPublisher,
  declareTopology,
  deleteTopology,
} from '../src/index.ts'
import { type ConsumingBroker, describeConsumer } from './conformance-consumer.ts'
import { describeFailures } from './conformance-failures.ts'
import { codes, describePublisher, row, type Stored } from './conformance-publisher.ts'
import { counterQueue } from './fixtures/counter-service.ts'

const url = stack().rabbitmqUrl
const namespace = uniqueNamespace()
const logger = createLogger('rabbitmq-test', 'silent')
const queues: string[] = []
let model: ChannelModel
let channel: ConfirmChannel

beforeAll(async () => {
  model = await connect(url)
  channel = await model.createConfirmChannel()
})

afterAll(async () => {
  await model.close()
  const made = queues.map((name) => ({ name, exchange: 'things' }))
  await deleteTopology({ url, namespace, queues: made })
})

describePublisher('RabbitMQ', () => ({
  createPublisher: () => createRabbitPublisher({ url, logger }),
  destination: async (name) => {
    queues.push(name)
    await declareTopology({ url, namespace, queues: [{ name, exchange: 'things' }] })
    return `${namespace}.things/${namespace}.${name}`
  },
  missingDestination: `${namespace}.missing/${namespace}.missing`,
  refusedBytes: undefined,
  read: readQueue,
}))

const rabbitmq: ConsumingBroker = {
  createPublisher: () => createRabbitPublisher({ url, logger }),
  createConsumer: (options) => createRabbitConsumer({ ...options, url }),
  prepare: (prefix) => declareTopology({ url, namespace: prefix, queues: [counterQueue] }),
  cleanUp: (prefix) => deleteTopology({ url, namespace: prefix, queues: [counterQueue] }),
}

describeConsumer('RabbitMQ', 'rabbitmq', () => rabbitmq)
describeFailures('RabbitMQ', 'rabbitmq', () => rabbitmq)

describe('the topology', () => {
  const queue = { name: 'work', exchange: 'things' }
  const destination = `${namespace}.things/${namespace}.work`

  beforeAll(async () => {
    queues.push(queue.name)
    await declareTopology({ url, namespace, queues: [queue] })
  })

  test('can be declared again, and never with other arguments', async () => {
    await declareTopology({ url, namespace, queues: [queue] })
    const plain = await model.createChannel()
    plain.on('error', () => undefined)
    const other = plain.assertQueue(`${namespace}.work`, { durable: true })
    await expect(other).rejects.toMatchObject({ code: 406 })
  })

  test('names what exists with other arguments, and says what to do about it', async () => {
    const old = { name: 'old', exchange: 'things' }
    queues.push(old.name)
    await channel.assertQueue(`${namespace}.old`, {
      durable: true,
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 5 },
    })
    const declared = declareTopology({ url, namespace, queues: [old] })
    await expect(declared).rejects.toMatchObject({
      code: 'topology-differs',
      retry: 'permanent',
      message: expect.stringMatching(
        new RegExp(`queue ${namespace}\\.old .*delete it.*inequivalent arg`),
      ),
    })
    const fanout = { name: 'other', exchange: 'fanout' }
    await channel.assertExchange(`${namespace}.fanout`, 'fanout')
    const ofFanout = declareTopology({ url, namespace, queues: [fanout] })
    await expect(ofFanout).rejects.toThrow(`exchange ${namespace}.fanout is another one`)
    await channel.deleteExchange(`${namespace}.fanout`)
  })

  test('is gone without a trace when it is deleted, and deleting it again is no error', async () => {
    const gone = uniqueNamespace()
    const options = { url, namespace: gone, queues: [queue] }
    await declareTopology(options)
    await deleteTopology(options)
    await deleteTopology(options)
    const plain = await model.createChannel()
    plain.on('error', () => undefined)
    await expect(plain.checkQueue(`${gone}.work`)).rejects.toMatchObject({ code: 404 })
    const another = await model.createChannel()
    another.on('error', () => undefined)
    await expect(another.checkExchange(`${gone}.dlx`)).rejects.toMatchObject({ code: 404 })
  })

  test('keeps what a queue gives up, with its headers, among the dead letters', async () => {
    const publisher = createRabbitPublisher({ url, logger })
    const sent = row({ destination, key: 'a', payload: '{"n":1}' })
    expect(await publisher.publish([sent])).toEqual([undefined])
    const message = await waitFor(() => channel.get(`${namespace}.work`), {
      message: 'the message',
    })
    channel.nack(message, false, false)
    const dead = await waitFor(() => channel.get(`${namespace}.dlq`), { message: 'a dead letter' })
    channel.ack(dead)
    expect(dead.content.toString()).toBe(sent.payload)
    expect(dead.properties.messageId).toBe(sent.messageId)
    expect(dead.properties.headers).toMatchObject({ 'x-first-death-queue': `${namespace}.work` })
    await publisher.stop()
  })

  test('gives a message that comes back again and again to the dead letters at its limit', async () => {
    const publisher = createRabbitPublisher({ url, logger })
    const sent = row({ destination, key: 'a', payload: '{"n":2}' })
    expect(await publisher.publish([sent])).toEqual([undefined])
    let deliveries = 0
    const { consumerTag } = await channel.consume(`${namespace}.work`, (message) => {
      if (message === null) return
      deliveries += 1
      // Since RabbitMQ 4.3 a nack is no failed delivery and does not count, a reject does on every version.
      channel.reject(message, true)
    })
    const dead = await waitFor(() => channel.get(`${namespace}.dlq`), {
      timeoutMs: 40_000,
      message: 'a dead letter',
    })
    channel.ack(dead)
    await channel.cancel(consumerTag)
    expect(dead.properties.messageId).toBe(sent.messageId)
    expect(deliveries).toBe(1001)
    await publisher.stop()
  })

  test('a routing key that leads nowhere fails its rows and no others', async () => {
    const publisher = createRabbitPublisher({ url, logger })
    const outcomes = await publisher.publish([
      row({ destination: `${namespace}.things/nowhere`, key: 'a', payload: '{"n":3}' }),
      row({ destination, key: 'a', payload: '{"n":4}' }),
      row({ destination: 'no routing key', key: 'b', payload: '{"n":5}' }),
      row({ destination: `${namespace}.things/${'x'.repeat(300)}`, key: 'c', payload: '{"n":6}' }),
    ])
    const failed = ['destination-unavailable', undefined, 'cannot-encode', 'cannot-encode']
    expect(codes(outcomes)).toEqual(failed)
    await publisher.stop()
  })

  test('a row that RabbitMQ closes the channel over fails alone, and says what RabbitMQ said', async () => {
    const publisher = createRabbitPublisher({ url, logger })
    const rows = Array.from({ length: 8 }, (_, n) =>
      row({ destination, key: n === 5 ? 'c' : String(n), payload: `{"n":${n}}` }),
    )
    const refused = row({ destination, key: 'c', payload: '{"n":2}' })
    rows[2] = { ...refused, headers: { ...refused.headers, CC: 'RabbitMQ takes an array here' } }
    const outcomes = await publisher.publish(rows)
    const failed = codes(outcomes).flatMap((code, n) => (code === undefined ? [] : [[n, code]]))
    expect(failed).toEqual([
      [2, 'cannot-encode'],
      [5, 'held-back'],
    ])
    expect(outcomes[2]).toMatchObject({
      retry: 'permanent',
      message: expect.stringContaining('unacceptable_type_in_header'),
    })
    await publisher.stop()
  })
})

async function readQueue(destination: string, count: number): Promise<Stored[]> {
  const queue = destination.slice(destination.indexOf('/') + 1)
  const stored: Stored[] = []
  const { consumerTag } = await channel.consume(queue, (message) => {
    if (message === null) return
    const headers: Record<string, string> = { 'content-type': message.properties.contentType }
    for (const [name, value] of Object.entries(message.properties.headers ?? {})) {
      headers[name] = String(value)
    }
    stored.push({ headers, body: message.content })
    channel.ack(message)
  })
  await waitFor(() => stored.length >= count, { message: `${count} messages in ${queue}` })
  await channel.cancel(consumerTag)
  return stored
}
