import { join } from 'node:path'
import { compose, defineContract, type Origin, outgoing } from '@edp/event-schemas'
import {
  consumer,
  createKafkaConsumer,
  createKafkaPublisher,
  createPipeline,
  deleteTopics,
  ensureTopics,
  type MessageHandler,
  on,
  type RowStore,
} from '@edp/messaging'
import { createHealth, createLogger, noRow, openDatabase, statement } from '@edp/runtime'
import { repositoryRoot, stack, templateDatabase, uniqueNamespace } from '@edp/testkit'
import { z } from 'zod'
import { type Rate, startRate } from './bench-topic.ts'
import type { BenchmarkContext, Row } from './types.ts'

const benchmark = 'pipeline'
const messages = 100_000
const keys = 10_000
const publishRows = 1000

const topic = { name: 'counter.events', partitions: 6 }
const addedV1 = defineContract({
  type: 'counter.added.v1',
  destination: { transport: 'kafka', topic: topic.name },
  body: z.object({ key: z.string(), amount: z.int() }),
})

interface Counter {
  key: string
  total: number
}
interface CounterTables {
  counters: Counter
}

/** Consume → inbox → effect: messages that wait on Kafka, each of which adds to a row in Postgres. */
export async function run({ log }: BenchmarkContext): Promise<Row[]> {
  const namespace = uniqueNamespace()
  const brokers = stack().kafkaBrokers
  const database = await templateDatabase({
    role: 'order_service',
    migrations: join(repositoryRoot(), 'apps/order-service/migrations'),
  })
  try {
    await database.query('create table counters (key text primary key, total bigint not null)')
    await database.query('grant select, insert, update on counters to order_service')
    await ensureTopics({ brokers, namespace, topics: [topic] })
    log(`publishing ${messages} messages`)
    await publishAll(brokers, namespace)
    const { perSecond, cpuMicros } = await consumeAll(brokers, namespace, database.serviceUrl)
    const [sum] = await database.query('select sum(total)::int as total from counters')
    if (sum?.['total'] !== messages)
      throw new Error(`not ${messages} effects: ${JSON.stringify(sum)}`)
    log(`${Math.round(perSecond)}/s, ${cpuMicros.toFixed(1)} µs of CPU each`)
    const settings = { messages, keys }
    return [
      { benchmark, metric: 'throughput', value: perSecond, unit: 'events/s', settings },
      { benchmark, metric: 'CPU', value: cpuMicros, unit: 'µs/event', settings },
    ]
  } finally {
    await database.drop()
    await deleteTopics({ brokers, namespace, topics: [topic] })
  }
}

async function publishAll(brokers: readonly string[], namespace: string): Promise<void> {
  const publisher = createKafkaPublisher({
    brokers,
    clientId: 'bench',
    logger: createLogger('bench', 'warn'),
  })
  await publisher.start()
  const origin: Origin = {
    source: 'bench',
    namespace,
    now: new Date(),
    coordination: 'choreographed',
  }
  for (let from = 0; from < messages; from += publishRows) {
    const rows = Array.from({ length: publishRows }, (_, index) => {
      const key = `counter-${(from + index) % keys}`
      const message = compose(outgoing(addedV1, key, { key, amount: 1 }), origin)
      return { ...message, id: from + index, messageId: message.id }
    })
    const failed = (await publisher.publish(rows)).find((error) => error !== undefined)
    if (failed) throw failed
  }
  await publisher.stop()
}

/** Measures from the first commit, since joining the group is not what is measured. */
async function consumeAll(
  brokers: readonly string[],
  namespace: string,
  url: string,
): Promise<Rate> {
  const logger = createLogger('bench', 'warn')
  const database = openDatabase({ url, applicationName: 'bench' })
  const done = Promise.withResolvers<Rate>()
  let applied = 0
  let before = 0
  let stopRate: ReturnType<typeof startRate> | undefined
  const add: MessageHandler<z.infer<typeof addedV1.body>, CounterTables>['decide'] = (
    { body },
    rows,
  ) => {
    applied += 1
    const total = (rows.counters.get(body.key)?.total ?? 0) + body.amount
    return { changed: { counters: [{ key: body.key, total }] } }
  }
  const counters = consumer({
    name: 'bench.kafka',
    store: { keyOf: { counters: (row: Counter) => row.key }, load, save },
    handlers: [on(addedV1, { keys: ({ body }) => ({ counters: [body.key] }), decide: add })],
    afterCommit: () => {
      if (stopRate === undefined) before = applied
      stopRate ??= startRate()
      if (applied >= messages) done.resolve(stopRate(messages - before))
    },
  })
  const kafka = createKafkaConsumer({
    brokers,
    namespace,
    consumer: counters,
    pipeline: createPipeline({ consumer: counters, database, source: 'bench', namespace, logger }),
    logger,
    health: createHealth(),
    onCrash: (error) => done.reject(error),
  })
  try {
    await kafka.start()
    return await done.promise
  } finally {
    await kafka.stop()
    await database.end()
  }
}

const insertCounters = statement(
  'bench_counters_insert',
  noRow,
  `insert into counters (key, total) select key, 0 from unnest($1::text[]) as c (key) order by key
   on conflict do nothing`,
)
const lockCounters = statement(
  'bench_counters_lock',
  z.object({ key: z.string(), total: z.number() }),
  'select key, total from counters where key = any ($1::text[]) order by key for update',
)
const saveCounters = statement(
  'bench_counters_save',
  noRow,
  `update counters c set total = s.total
   from unnest($1::text[], $2::bigint[]) as s (key, total) where c.key = s.key`,
)

const load: RowStore<CounterTables>['load'] = async (tx, batch) => {
  void tx.execute(insertCounters, [batch.counters])
  const rows = await tx.run(lockCounters, [batch.counters])
  return { counters: new Map(rows.map((row) => [row.key, row])) }
}

const save: RowStore<CounterTables>['save'] = async (tx, { counters }) => {
  void tx.execute(saveCounters, [counters.map((row) => row.key), counters.map((row) => row.total)])
}
