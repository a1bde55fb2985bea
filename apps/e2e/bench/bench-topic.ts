import { newMessageId, toHeaders } from '@edp/event-schemas'
import { ensureTopics } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { type Stack, stack, uniqueNamespace } from '@edp/testkit'
import { Kafka, logLevel, type Producer } from 'kafkajs'

/** How the messages of a run are keyed. */
export type Keys = 'many keys' | 'one hot key'

/** Rows a send takes at once, for the client alone and for the relay. */
export const sendRows = 1000

const topicName = 'bench.events'
const partitions = 6
const payloadBytes = 500
const distinctRows = 10_000

/** A topic of a benchmark's own, and the client itself, without anything of ours. */
export class BenchTopic {
  readonly stack: Stack
  readonly namespace: string
  readonly name: string
  readonly #kafka: Kafka

  constructor() {
    this.stack = stack()
    this.namespace = uniqueNamespace()
    this.name = `${this.namespace}.${topicName}`
    this.#kafka = new Kafka({
      brokers: this.stack.kafkaBrokers,
      clientId: 'bench',
      logLevel: logLevel.NOTHING,
    })
  }

  async create(): Promise<void> {
    await ensureTopics({
      brokers: this.stack.kafkaBrokers,
      namespace: this.namespace,
      topics: [{ name: topicName, partitions }],
    })
  }

  async remove(): Promise<void> {
    const admin = this.#kafka.admin()
    await admin.connect()
    try {
      await admin.deleteTopics({ topics: [this.name] })
    } finally {
      await admin.disconnect()
    }
  }

  /**
   * The messages of a run as outbox rows: 500 bytes of JSON, nine headers. They are few, and sent again and again: what lies in
   * memory would be walked by each garbage collection, and a relay does not have all of its backlog there.
   */
  rows(keys: Keys): OutboxRow[] {
    const padding = 'x'.repeat(payloadBytes)
    return Array.from({ length: distinctRows }, (_, index) => {
      const key = keys === 'many keys' ? `order-${index}` : 'order-hot'
      const payload = JSON.stringify({ orderId: key, sequence: index, padding }).slice(0, -4)
      const messageId = newMessageId()
      return {
        id: index + 1,
        messageId,
        destination: this.name,
        key,
        type: 'bench.happened.v1',
        payload: `${payload.slice(0, payloadBytes - 2)}"}`,
        headers: toHeaders('kafka', {
          id: messageId,
          source: 'bench',
          type: 'bench.happened.v1',
          subject: key,
          time: new Date().toISOString(),
          datacontenttype: 'application/json',
          correlationid: key,
          coordination: 'choreographed',
        }),
      }
    })
  }

  /** Sends so many messages with the client alone, one batch after the other: these rows again and again. */
  async clientRate(rows: readonly OutboxRow[], count: number): Promise<Rate> {
    const producer = this.#kafka.producer({ allowAutoTopicCreation: false, idempotent: false })
    await producer.connect()
    try {
      const stop = startRate()
      for (const part of partsOf(rows, count, sendRows)) await sendAll(producer, this.name, part)
      return stop(count)
    } finally {
      await producer.disconnect()
    }
  }
}

/** `count` rows in parts of `size`, these rows again and again. */
export function* partsOf<T>(rows: readonly T[], count: number, size: number): Generator<T[]> {
  for (let at = 0; at < count; at += size) {
    const from = at % rows.length
    yield rows.slice(from, from + Math.min(size, count - at))
  }
}

async function sendAll(
  producer: Producer,
  topic: string,
  rows: readonly OutboxRow[],
): Promise<void> {
  const messages = rows.map(({ key, payload, headers }) => ({ key, value: payload, headers }))
  await producer.sendBatch({ acks: -1, topicMessages: [{ topic, messages }] })
}

/** What something took that was done so many times. */
export interface Rate {
  readonly perSecond: number
  /** CPU of this process for each, in microseconds: the figure that repeats on a busy machine. */
  readonly cpuMicros: number
}

/** Starts measuring; call what it gives when `count` things are done. */
export function startRate(): (count: number) => Rate {
  const startedMs = performance.now()
  const cpuBefore = process.cpuUsage()
  return (count) => {
    const { user, system } = process.cpuUsage(cpuBefore)
    return {
      perSecond: (count / (performance.now() - startedMs)) * 1000,
      cpuMicros: (user + system) / count,
    }
  }
}
