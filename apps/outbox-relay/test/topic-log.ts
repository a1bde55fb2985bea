import { ensureTopics } from '@edp/messaging'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { type Consumer, Kafka, logLevel } from 'kafkajs'
import { expect } from 'vitest'

interface Message {
  readonly key: string
  readonly sequence: number
  /** From the headers. */
  readonly subject: string
}

/** Everything that arrives in the topic of the counted messages. */
export class TopicLog {
  readonly namespace = uniqueNamespace()
  readonly messages: Message[] = []
  readonly #kafka = new Kafka({ brokers: stack().kafkaBrokers, logLevel: logLevel.NOTHING })
  #consumer: Consumer | undefined

  get topic(): string {
    return `${this.namespace}.counted`
  }

  async createTopic(): Promise<void> {
    await ensureTopics({
      brokers: stack().kafkaBrokers,
      namespace: this.namespace,
      topics: [{ name: 'counted', partitions: 6 }],
    })
  }

  /** Reads from the beginning; resolves when it reads. */
  async read(): Promise<void> {
    const consumer = this.#kafka.consumer({
      groupId: `${this.namespace}.log`,
      maxWaitTimeInMs: 100,
      allowAutoTopicCreation: false,
    })
    this.#consumer = consumer
    await consumer.connect()
    await consumer.subscribe({ topics: [this.topic], fromBeginning: true })
    const joined = new Promise<void>((resolve) => {
      consumer.on('consumer.group_join', () => resolve())
    })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ message }) => {
        const { sequence } = JSON.parse(String(message.value))
        this.messages.push({
          key: String(message.key),
          sequence: Number(sequence),
          subject: String(message.headers?.['ce_subject']),
        })
      },
    })
    await joined
  }

  async remove(): Promise<void> {
    await this.#consumer?.disconnect()
    const admin = this.#kafka.admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [this.topic] }).catch(() => undefined)
    await admin.disconnect()
  }
}

/** Waits until every message of every key is there with its headers, and none of a key overtaken when it first came. */
export async function expectAllInOrder(
  { messages }: TopicLog,
  counters: ReadonlyMap<string, number>,
): Promise<void> {
  const wanted = [...counters.values()].reduce((sum, sequence) => sum + sequence, 0)
  await waitFor(() => new Set(messages.map((m) => `${m.key} ${m.sequence}`)).size, {
    message: `all ${wanted} messages`,
    until: (distinct) => distinct >= wanted,
    timeoutMs: 30_000,
    intervalMs: 200,
  })
  expect(messages.filter(({ key, subject }) => subject !== key)).toEqual([])
  const byKey = Map.groupBy(messages, (message) => message.key)
  for (const [key, last] of counters) {
    const sequences = (byKey.get(key) ?? []).map((message) => message.sequence)
    const expected = Array.from({ length: last }, (_, index) => index + 1)
    expect([...new Set(sequences)], `first deliveries of ${key}`).toEqual(expected)
  }
}
