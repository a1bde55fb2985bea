import type { Topic } from '@edp/event-schemas'
import type { Logger } from '@edp/runtime'
import { createKafkaClient } from './kafka-client.ts'

/**
 * Creates the topics that do not exist, and leaves those that do as they are: more partitions would move keys to others
 * while their messages are under way.
 */
export async function ensureTopics(options: {
  brokers: readonly string[]
  namespace: string
  topics: readonly Topic[]
  /** Default 1: a local cluster has one broker. */
  replicationFactor?: number
  logger?: Logger
}): Promise<void> {
  const { namespace, replicationFactor = 1 } = options
  const admin = createKafkaClient({ ...options, clientId: 'ensure-topics' }).admin()
  await admin.connect()
  try {
    const existing = new Set(await admin.listTopics())
    const missing = options.topics.filter(({ name }) => !existing.has(`${namespace}.${name}`))
    if (missing.length === 0) return
    await admin.createTopics({
      waitForLeaders: true,
      topics: missing.map((topic) => ({
        topic: `${namespace}.${topic.name}`,
        numPartitions: topic.partitions,
        replicationFactor,
        configEntries: Object.entries(topic.config ?? {}).map(([name, value]) => ({ name, value })),
      })),
    })
  } finally {
    await admin.disconnect()
  }
}
