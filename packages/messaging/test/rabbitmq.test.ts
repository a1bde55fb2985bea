import { createLogger } from '@edp/runtime'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { type ChannelModel, connect, type ConfirmChannel } from 'amqplib'
import { afterAll, beforeAll } from 'vitest'
import { createRabbitPublisher, declareTopology } from '../src/index.ts'
import { describePublisher, type Stored } from './conformance-publisher.ts'

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
  for (const queue of [...queues, 'dlq']) await channel.deleteQueue(`${namespace}.${queue}`)
  for (const exchange of ['things', 'dlx']) await channel.deleteExchange(`${namespace}.${exchange}`)
  await model.close()
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
