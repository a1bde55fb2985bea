import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineContract, outgoing } from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import { type Database, noRow, openDatabase, statement } from '@edp/runtime'
import { repositoryRoot, stack, templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { Kafka, logLevel } from 'kafkajs'
import { z } from 'zod'
import { AppProcess, freePort } from '../src/app-process.ts'
import { runDirectory } from '../src/stack-settings.ts'
import { BenchTopic } from './bench-topic.ts'
import { cpuPer, readCpu } from './cpu.ts'
import { percentile } from './http-load.ts'
import type { BenchmarkContext, Row } from './types.ts'

const eventsPerSecond = 1000
const seconds = 20
const warmUpSeconds = 4
const keyCount = 1000

const happened = defineContract({
  type: 'bench.happened.v1',
  destination: { transport: 'kafka', topic: 'bench.events' },
  body: z.strictObject({ event: z.number(), padding: z.string() }),
})
const eventOf = z.object({ event: z.number() })
const touchAggregate = statement(
  'bench_touch_aggregate',
  noRow,
  `insert into bench_aggregate as a (key, version) values ($1, 1)
   on conflict (key) do update set version = a.version + 1`,
)

/**
 * From the commit of a transaction to its message at a consumer, at 1,000 transactions a second, with the relay as a process
 * of its own. The transactions and the consumer share a process, and so a clock.
 */
export async function run({ log }: BenchmarkContext): Promise<Row[]> {
  const topic = new BenchTopic()
  const database = await templateDatabase({
    role: 'order_service',
    migrations: join(repositoryRoot(), 'apps/order-service/migrations'),
  })
  await database.query('create table bench_aggregate (key text primary key, version integer)')
  await database.query('grant select, insert, update on bench_aggregate to order_service')
  await topic.create()
  const service = openDatabase({ url: database.serviceUrl, applicationName: 'bench', poolMax: 16 })
  const relay = await createRelay(database)
  const arrivals = await watchArrivals(topic)
  try {
    relay.start()
    await relay.ready()
    log('warm-up')
    await load({ service, topic, arrivals, firstEvent: 0, seconds: warmUpSeconds })
    log(`${eventsPerSecond} transactions/s for ${seconds} s`)
    const cpuBefore = readCpu({ relay: relay.pid })
    const firstEvent = warmUpSeconds * eventsPerSecond
    const latenciesMs = await load({ service, topic, arrivals, firstEvent, seconds })
    const cpu = cpuPer(cpuBefore, readCpu({ relay: relay.pid }), latenciesMs.length)
    return figures(latenciesMs, cpu.get('relay'))
  } finally {
    await relay.stop()
    await arrivals.stop()
    await service.end()
    await topic.remove()
    await database.drop()
  }
}

function figures(latenciesMs: readonly number[], relayCpuMs: number | undefined): Row[] {
  const settings = { eventsPerSecond, seconds, linger: 'default' }
  const row = (metric: string, value: number, unit: string): Row => ({
    benchmark: 'relay-latency',
    metric,
    value,
    unit,
    settings,
  })
  return [
    row('commit → consumer p50', percentile(latenciesMs, 0.5), 'ms'),
    row('commit → consumer p99', percentile(latenciesMs, 0.99), 'ms'),
    row('commit → consumer max', percentile(latenciesMs, 1), 'ms'),
    ...(relayCpuMs === undefined ? [] : [row('CPU of the relay', relayCpuMs * 1000, 'µs/event')]),
  ]
}

async function createRelay(database: TestDatabase): Promise<AppProcess> {
  return new AppProcess({
    app: 'outbox-relay',
    logFile: join(runDirectory(`bench-relay-${process.pid}`), 'outbox-relay.log'),
    env: {
      HTTP_PORT: String(await freePort()),
      LOG_LEVEL: 'warn',
      KAFKA_BROKERS: stack().kafkaBrokers.join(','),
      RABBITMQ_URL: stack().rabbitmqUrl,
      OUTBOX_DATABASES: JSON.stringify({ bench: database.relayUrl }),
    },
  })
}

interface Arrivals {
  /** When each event first came, by its number. */
  readonly atMs: ReadonlyMap<number, number>
  stop(): Promise<void>
}

/** The least consumer there is: it notes when something came. */
async function watchArrivals(topic: BenchTopic): Promise<Arrivals> {
  const kafka = new Kafka({ brokers: stack().kafkaBrokers, logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: topic.namespace, allowAutoTopicCreation: false })
  const atMs = new Map<number, number>()
  await consumer.connect()
  await consumer.subscribe({ topics: [topic.name], fromBeginning: true })
  const joined = new Promise<void>((resolve) => {
    consumer.on('consumer.group_join', () => resolve())
  })
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: 6,
    eachBatch: async ({ batch }) => {
      const nowMs = performance.now()
      for (const { value } of batch.messages) {
        const { event } = eventOf.parse(JSON.parse(String(value)))
        if (!atMs.has(event)) atMs.set(event, nowMs)
      }
    },
  })
  await joined
  return { atMs, stop: () => consumer.disconnect() }
}

/** An open loop of transactions; gives how long each took from its commit to its arrival. */
async function load(options: {
  service: Database
  topic: BenchTopic
  arrivals: Arrivals
  firstEvent: number
  seconds: number
}): Promise<number[]> {
  const { service, topic, arrivals, firstEvent } = options
  const total = options.seconds * eventsPerSecond
  const committedMs: Promise<number>[] = []
  const startedMs = performance.now()
  while (committedMs.length < total) {
    const dueEvents = ((performance.now() - startedMs) / 1000) * eventsPerSecond
    while (committedMs.length < Math.min(total, dueEvents)) {
      const committing = commit(service, topic, firstEvent + committedMs.length)
      // Awaited below, with all others.
      committing.catch(() => undefined)
      committedMs.push(committing)
    }
    await sleep(2)
  }
  const committed = await Promise.all(committedMs)
  await waitFor(() => committed.every((_, index) => arrivals.atMs.has(firstEvent + index)), {
    message: 'every event has arrived',
    timeoutMs: 30_000,
    intervalMs: 100,
  })
  return committed.map((atMs, index) =>
    Math.max(0, (arrivals.atMs.get(firstEvent + index) ?? Number.NaN) - atMs),
  )
}

async function commit(service: Database, topic: BenchTopic, event: number): Promise<number> {
  const key = `order-${event % keyCount}`
  await service.transaction(async (tx) => {
    // Not awaited: the commit does. It goes first, since whoever enqueues has written something before.
    void tx.execute(touchAggregate, [key])
    enqueue(tx, [outgoing(happened, key, { event, padding: 'x'.repeat(450) })], {
      source: 'bench',
      namespace: topic.namespace,
      now: new Date(),
      coordination: 'choreographed',
    })
  })
  return performance.now()
}
