import { ensureTopics } from '@edp/messaging'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { ConfigResourceTypes, type Consumer, Kafka, logLevel } from 'kafkajs'
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
  /** What the relay says of dead rows, in the order of its topic's partitions. */
  readonly letters: { readonly type: string; readonly body: Record<string, unknown> }[] = []
  readonly #kafka = new Kafka({ brokers: stack().kafkaBrokers, logLevel: logLevel.NOTHING })
  #consumer: Consumer | undefined

  get topic(): string {
    return `${this.namespace}.counted`
  }

  get deadLetters(): string {
    return `${this.namespace}.dead-letters`
  }

  async createTopic(): Promise<void> {
    await ensureTopics({
      brokers: stack().kafkaBrokers,
      namespace: this.namespace,
      topics: [
        { name: 'counted', partitions: 6 },
        { name: 'dead-letters', partitions: 6 },
      ],
    })
  }

  /** From now on the topic takes messages of so many bytes. */
  async accept(bytes: number): Promise<void> {
    const admin = this.#kafka.admin()
    await admin.connect()
    const configEntries = [{ name: 'max.message.bytes', value: String(bytes) }]
    await admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name: this.topic, configEntries }],
    })
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: this.topic }]
    await waitFor(() => admin.describeConfigs({ includeSynonyms: false, resources }), {
      message: 'the broker knows the new limit',
      until: (found) => JSON.stringify(found).includes(`"${bytes}"`),
    })
    await admin.disconnect()
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
    const topics = [this.topic, this.deadLetters]
    await consumer.subscribe({ topics, fromBeginning: true })
    const joined = new Promise<void>((resolve) => {
      consumer.on('consumer.group_join', () => resolve())
    })
    await consumer.run({
      autoCommit: false,
      eachMessage: async ({ topic, message }) => {
        const body = JSON.parse(String(message.value))
        if (topic === this.deadLetters) {
          this.letters.push({ type: String(message.headers?.['ce_type']), body })
          return
        }
        const { sequence } = body
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
    await admin.deleteTopics({ topics: [this.topic, this.deadLetters] }).catch(() => undefined)
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
