import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createKafkaPublisher } from '@edp/messaging'
import type { OutboxRow, Publisher } from '@edp/outbox'
import { createDrain } from '@edp/outbox/drain'
import { createLogger } from '@edp/runtime'
import { repositoryRoot, templateDatabase, type TestDatabase } from '@edp/testkit'
import { BenchTopic, type Keys, partsOf, type Rate, startRate } from './bench-topic.ts'
import type { BenchmarkContext, Row } from './types.ts'

const rowCount = 200_000
const warmUpRows = 50_000
const insertRows = 2000

/**
 * A full outbox drained to Kafka, beside the client alone with the same messages: committed rows wait, the relay starts, and
 * the time runs from its first send to the last acknowledgement.
 */
export async function run({ log }: BenchmarkContext): Promise<Row[]> {
  const topic = new BenchTopic()
  const database = await templateDatabase({
    role: 'order_service',
    migrations: join(repositoryRoot(), 'apps/order-service/migrations'),
  })
  await topic.create()
  try {
    log('warm-up')
    await topic.clientRate(topic.rows('many keys'), warmUpRows)
    await drainRate(database, topic, { keys: 'many keys', count: warmUpRows })
    const rows: Row[] = []
    const all: Keys[] = ['many keys', 'one hot key']
    for (const keys of all) {
      const client = await topic.clientRate(topic.rows(keys), rowCount)
      const relay = await drainRate(database, topic, { keys, count: rowCount })
      log(`${keys}: relay ${describe(relay)}; client alone ${describe(client)}`)
      rows.push(...figures(keys, { client, relay }))
    }
    return rows
  } finally {
    await topic.remove()
    await database.drop()
  }
}

function describe({ perSecond, cpuMicros }: Rate): string {
  return `${Math.round(perSecond)}/s, ${cpuMicros.toFixed(1)} µs of CPU each`
}

function figures(keys: Keys, { client, relay }: { client: Rate; relay: Rate }): Row[] {
  const settings = { rows: rowCount, payloadBytes: 500, headers: 9, keys }
  const row = (metric: string, value: number, unit: string): Row => ({
    benchmark: 'relay-drain',
    metric,
    value,
    unit,
    settings,
  })
  return [
    row('relay', relay.perSecond, 'events/s'),
    row('client alone', client.perSecond, 'events/s'),
    row('relay / client alone', relay.perSecond / client.perSecond, ''),
    row('CPU of the relay', relay.cpuMicros, 'µs/event'),
    row('CPU of the client alone', client.cpuMicros, 'µs/event'),
  ]
}

/** Fills the outbox, then drains it. */
async function drainRate(
  database: TestDatabase,
  topic: BenchTopic,
  { keys, count }: { keys: Keys; count: number },
): Promise<Rate> {
  for (const part of partsOf(topic.rows(keys), count, insertRows)) await insert(database, part)
  await database.query('checkpoint').catch(() => undefined)
  const logger = createLogger('bench', 'warn')
  const kafka = createKafkaPublisher({
    brokers: topic.stack.kafkaBrokers,
    clientId: 'bench',
    logger,
  })
  await kafka.start()
  const watch = watchPublisher(kafka, count)
  const drain = createDrain({
    database: 'bench',
    url: database.relayUrl,
    transport: 'kafka',
    publisher: watch.publisher,
    namespace: 'bench',
    logger,
  })
  await drain.start()
  try {
    return await watch.rate
  } finally {
    await nextTurn()
    await drain.stop()
    await kafka.stop()
  }
}

/** Measures from the first send until so many rows are acknowledged. */
function watchPublisher(
  inner: Publisher,
  rows: number,
): { publisher: Publisher; rate: Promise<Rate> } {
  const done = Promise.withResolvers<Rate>()
  let stop: ((count: number) => Rate) | undefined
  let acknowledged = 0
  return {
    rate: done.promise,
    publisher: {
      publish: async (batch) => {
        stop ??= startRate()
        const outcome = await inner.publish(batch)
        const failed = outcome.find((error) => error !== undefined)
        if (failed) done.reject(failed)
        acknowledged += batch.length
        if (acknowledged >= rows) done.resolve(stop(rows))
        return outcome
      },
    },
  }
}

async function insert(database: TestDatabase, rows: readonly OutboxRow[]): Promise<void> {
  await database.query(
    `insert into outbox (transport, message_id, destination, key, type, payload, headers)
     select 'kafka', message_id, destination, key, type, payload, headers
     from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[], $6::json[])
       with ordinality as m (message_id, destination, key, type, payload, headers, position)
     order by position`,
    [
      rows.map((row) => row.messageId),
      rows.map((row) => row.destination),
      rows.map((row) => row.key),
      rows.map((row) => row.type),
      rows.map((row) => row.payload),
      rows.map((row) => JSON.stringify(row.headers)),
    ],
  )
}
