import { createHealth, createLogger } from '@edp/runtime'
import {
  closeProxies,
  type Proxy,
  proxyTo,
  proxyToUrl,
  stack,
  uniqueNamespace,
  waitFor,
} from '@edp/testkit'
import { connect } from 'amqplib'
import { afterEach, expect, test } from 'vitest'
import {
  createKafkaConsumer,
  createKafkaPublisher,
  createRabbitPublisher,
  declareTopology,
  deleteTopology,
  ensureTopics,
} from '../src/index.ts'
import { codes, row } from './conformance-publisher.ts'
import { addition } from './fixtures/counter-messages.ts'
import { counterConsumer, counterTopic, outboxRows } from './fixtures/counter-service.ts'
import { recordingPipeline } from './fixtures/recording-pipeline.ts'

const logger = createLogger('outages', 'silent')
const { kafkaBrokers, rabbitmqUrl } = stack()

afterEach(closeProxies)

function kafkaProxy(): Promise<Proxy> {
  const { hostname, port } = new URL(`kafka://${kafkaBrokers[0]}`)
  return proxyTo(hostname, Number(port))
}

test('publishing while Kafka is away returns soon and blames the destination; it works again by itself', async () => {
  const namespace = uniqueNamespace()
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics: [counterTopic] })
  const proxy = await kafkaProxy()
  await proxy.cut()
  const brokers = [`127.0.0.1:${proxy.port}`]
  const publisher = createKafkaPublisher({ brokers, clientId: 'outage', logger })
  await publisher.start()
  const rows = outboxRows([addition({ key: 'a', seq: 1, amount: 1 }, { namespace })])
  const startedAt = performance.now()
  const [outcome] = await publisher.publish(rows)
  expect(outcome).toMatchObject({ code: 'destination-unavailable', retry: 'transient-everything' })
  expect(performance.now() - startedAt).toBeLessThan(15_000)
  await proxy.open()
  await waitFor(async () => codes(await publisher.publish(rows))[0] === undefined, {
    message: 'the row is published',
  })
  await publisher.stop()
})

test('a consumer that starts while Kafka is away is degraded, and consumes once Kafka is back', async () => {
  const namespace = uniqueNamespace()
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics: [counterTopic] })
  const proxy = await kafkaProxy()
  await proxy.cut()
  const health = createHealth()
  const pipeline = recordingPipeline()
  const crashes: unknown[] = []
  const consumer = createKafkaConsumer({
    brokers: [`127.0.0.1:${proxy.port}`],
    namespace,
    pipeline,
    consumer: counterConsumer(),
    logger,
    health,
    onCrash: (error) => crashes.push(error),
  })
  await consumer.start()
  await waitFor(() => health.readiness().checks['counter-service.kafka']?.detail, {
    until: (detail) => detail?.includes('ECONNREFUSED') ?? false,
    message: 'the check names the cause',
  })
  expect(health.readiness().status).toBe('degraded')
  await proxy.open()
  const publisher = createKafkaPublisher({ brokers: kafkaBrokers, clientId: 'outage', logger })
  await publisher.publish(outboxRows([addition({ key: 'a', seq: 1, amount: 1 }, { namespace })]))
  await waitFor(() => pipeline.messages.length, { timeoutMs: 30_000, message: 'the message' })
  expect(health.readiness().status).toBe('ok')
  expect(crashes).toEqual([])
  await consumer.stop()
  await publisher.stop()
})

test('a consumer fetches nothing before its Postgres answers', async () => {
  const namespace = uniqueNamespace()
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics: [counterTopic] })
  const publisher = createKafkaPublisher({ brokers: kafkaBrokers, clientId: 'outage', logger })
  await publisher.publish(outboxRows([addition({ key: 'a', seq: 1, amount: 1 }, { namespace })]))
  const pipeline = recordingPipeline()
  let asked = 0
  let answers = false
  pipeline.ready = async () => {
    asked += 1
    const error = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    if (!answers) throw error
  }
  const crashes: unknown[] = []
  const consumer = createKafkaConsumer({
    brokers: kafkaBrokers,
    namespace,
    pipeline,
    consumer: counterConsumer(),
    logger,
    health: createHealth(),
    onCrash: (error) => crashes.push(error),
  })
  await consumer.start()
  await waitFor(() => asked >= 3, { message: 'three questions' })
  expect(pipeline.batches).toEqual([])
  answers = true
  await waitFor(() => pipeline.messages.length, { message: 'the message' })
  expect(crashes).toEqual([])
  await consumer.stop()
  await publisher.stop()
})

test('connections to RabbitMQ that are cut while publishing lose nothing and keep the order of a key', async () => {
  const namespace = uniqueNamespace()
  const queue = { name: 'cuts', exchange: 'things' }
  await declareTopology({ url: rabbitmqUrl, namespace, queues: [queue] })
  const { proxy, url } = await proxyToUrl(rabbitmqUrl)
  const publisher = createRabbitPublisher({ url, logger })
  const destination = `${namespace}.things/${namespace}.cuts`
  const rows = Array.from({ length: 4000 }, (_, seq) =>
    row({ destination, key: `k${seq % 50}`, payload: JSON.stringify({ seq }) }),
  )
  let cuts = 0
  let left = rows
  while (left.length > 0) {
    const batch = left.slice(0, 500)
    const timer = setTimeout(() => {
      if (cuts < 8) proxy.drop()
      cuts += 1
    }, 15)
    const outcomes = await publisher.publish(batch)
    clearTimeout(timer)
    const failed = batch.filter((_, index) => outcomes[index] !== undefined)
    expect(
      outcomes.every((outcome) => outcome === undefined || outcome.retry !== 'permanent'),
    ).toBe(true)
    left = [...failed, ...left.slice(500)]
  }
  expect(cuts).toBeGreaterThan(3)
  await publisher.stop()
  const seqs = await readAll(`${namespace}.cuts`, rows.length)
  expectFirstDeliveriesInOrder(seqs)
  await deleteTopology({ url: rabbitmqUrl, namespace, queues: [queue] })
})

/** Reads a queue until every number up to `count` was there. */
async function readAll(queue: string, count: number): Promise<number[]> {
  const model = await connect(rabbitmqUrl)
  const channel = await model.createChannel()
  const seqs: number[] = []
  const seen = new Set<number>()
  await channel.consume(queue, (message) => {
    if (message === null) return
    const { seq } = JSON.parse(message.content.toString())
    seqs.push(seq)
    seen.add(seq)
    channel.ack(message)
  })
  await waitFor(() => seen.size === count, { message: `${count} messages` })
  await model.close()
  return seqs
}

function expectFirstDeliveriesInOrder(seqs: readonly number[]): void {
  const firsts = [...new Set(seqs)]
  for (let key = 0; key < 50; key += 1) {
    const ofKey = firsts.filter((seq) => seq % 50 === key)
    expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
  }
}
