import type { OutboxRow, Publisher } from '@edp/outbox'
import type { Component, Logger } from '@edp/runtime'
import type { Message, Producer } from 'kafkajs'
import { createKafkaClient, scopeOf } from './kafka-client.ts'
import { jsonHeaders } from './kafka-json-headers.ts'
import { keyPartitioner, partitionOf } from './kafka-partitioner.ts'
import { Link } from './link.ts'
import { Outcomes, type PlacedRow } from './outcomes.ts'
import { type Send, sendRows } from './send-rows.ts'

/** What `createKafkaPublisher` needs. */
export interface KafkaPublisherOptions {
  brokers: readonly string[]
  clientId: string
  logger: Logger
  /**
   * How much goes to one partition in one request; default 900 KiB. kafkajs makes one record batch of it, and the broker
   * refuses a record batch, not a message, beyond `max.message.bytes` (1 MiB): many small messages of one hot key would
   * be refused as too large.
   */
  partitionBytesMax?: number
  /** When an unanswered send counts as failed; default 30 s. */
  sendTimeoutMs?: number
}

const allReplicas = -1
const ackTimeoutMs = 10_000

/**
 * Publishes outbox rows to Kafka. Rows of a key keep their order; a row that cannot be sent holds back those of its key
 * behind it (`held-back`). One call of `publish` at a time for each caller that wants order.
 *
 * The producer is not idempotent: kafkajs' idempotence can lose an acknowledged message, and the inbox of every consumer
 * removes the duplicates that a second try makes.
 */
export function createKafkaPublisher(options: KafkaPublisherOptions): Publisher & Component {
  const { logger, partitionBytesMax = 900 * 1024, sendTimeoutMs = 30_000 } = options
  const partitionCounts = new Map<string, number>()
  const link = new Link<Producer>({
    open: async () => {
      const producer = createKafkaClient(options).producer({
        idempotent: false,
        allowAutoTopicCreation: false,
        createPartitioner: keyPartitioner(partitionCounts),
      })
      await producer.connect()
      return producer
    },
    close: (producer) => producer.disconnect(),
  })

  const send: Send = async (rows, outcomes) => {
    try {
      const producer = await link.get()
      const topicMessages = toTopicMessages(rows)
      await within(
        sendTimeoutMs,
        producer.sendBatch({ acks: allReplicas, timeout: ackTimeoutMs, topicMessages }),
      )
      link.worked()
      for (const row of rows) outcomes.acknowledge(row)
      return undefined
    } catch (error) {
      const scope = scopeOf(error)
      if (scope === 'broker') link.drop()
      // A producer that knew a topic which was deleted fails with all others too.
      if (scope === 'destination') link.renew()
      return { scope, unsettled: rows, error }
    }
  }

  return {
    name: 'kafka-publisher',
    start: async () => {
      // Only so that the first batch finds a connection; an outage at the start is one like any other.
      await link.get().catch((error: unknown) => logger.warn({ err: error }, 'Kafka is not there'))
    },
    stop: () => link.close(),
    publish: async (rows) => {
      const outcomes = new Outcomes(rows)
      const placed = rows.map((row, index) => ({ row, index }))
      for (const part of splitByBytes(placed, { partitionCounts, partitionBytesMax })) {
        await sendRows(part, outcomes, send)
      }
      return outcomes.all
    },
  }
}

/** Cuts a batch so that no partition gets more than `partitionBytesMax` at once. Their order stays. */
export function splitByBytes(
  rows: readonly PlacedRow[],
  options: { partitionCounts: ReadonlyMap<string, number>; partitionBytesMax: number },
): PlacedRow[][] {
  let allBytes = 0
  for (const { row } of rows) allBytes += bytesOf(row)
  // The usual case, for which nothing has to be hashed.
  if (allBytes <= options.partitionBytesMax) return rows.length === 0 ? [] : [[...rows]]
  const parts: PlacedRow[][] = []
  let part: PlacedRow[] = []
  const partitionBytes = new Map<string, number>()
  for (const placed of rows) {
    const { destination, key } = placed.row
    // Before the first send nothing is known about a topic: as if it had one partition.
    const count = options.partitionCounts.get(destination) ?? 1
    const partition = `${destination}/${partitionOf(key, count)}`
    const rowBytes = bytesOf(placed.row)
    const bytes = (partitionBytes.get(partition) ?? 0) + rowBytes
    if (bytes > options.partitionBytesMax && part.length > 0) {
      parts.push(part)
      part = []
      partitionBytes.clear()
      partitionBytes.set(partition, rowBytes)
    } else {
      partitionBytes.set(partition, bytes)
    }
    part.push(placed)
  }
  if (part.length > 0) parts.push(part)
  return parts
}

// What the record format adds to a record and to a header, rounded up.
const recordOverheadBytes = 32
const headerOverheadBytes = 4

function bytesOf(row: OutboxRow): number {
  // As JSON the headers are longer than in the record.
  if (row.bytes !== undefined) return recordOverheadBytes + row.bytes
  let bytes = recordOverheadBytes + Buffer.byteLength(row.key) + Buffer.byteLength(row.payload)
  for (const name in row.headers) {
    bytes += headerOverheadBytes + name.length + Buffer.byteLength(row.headers[name] ?? '')
  }
  return bytes
}

function toTopicMessages(rows: readonly PlacedRow[]): { topic: string; messages: Message[] }[] {
  const byTopic = Map.groupBy(rows, ({ row }) => row.destination)
  return [...byTopic].map(([topic, group]) => ({
    topic,
    messages: group.map(({ row }) => ({
      key: row.key,
      value: row.payload,
      headers: row.headersJson === undefined ? row.headers : jsonHeaders(row.headersJson),
    })),
  }))
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${timeoutMs} ms`)),
    timeoutMs,
  )
  // A send that fails after its time-out was reported already.
  work.catch(() => undefined)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
