import type { Topic } from '@edp/event-schemas'
import { AppError, type Logger, untilDone } from '@edp/runtime'
import type { Admin } from 'kafkajs'
import { createKafkaClient } from './kafka-client.ts'

const readyTimeoutMs = 30_000

/**
 * Creates the topics that do not exist and waits until they can be written. Leaves those that exist as they are: more
 * partitions would move keys to others while their messages are under way.
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
      // It gives up at the first broker that has not heard of the topic yet.
      waitForLeaders: false,
      topics: missing.map((topic) => ({
        topic: `${namespace}.${topic.name}`,
        numPartitions: topic.partitions,
        replicationFactor,
        configEntries: Object.entries(topic.config ?? {}).map(([name, value]) => ({ name, value })),
      })),
    })
    for (const { name } of missing) await untilReady(admin, `${namespace}.${name}`)
  } finally {
    await admin.disconnect()
  }
}

/**
 * Deletes the topics of a namespace that exist, with all that is in them: for systems that live for one run. That another one deletes
 * them meanwhile, or has just done so and the broker has not heard of it yet, is no error.
 */
export async function deleteTopics(options: {
  brokers: readonly string[]
  namespace: string
  topics: readonly Topic[]
}): Promise<void> {
  const admin = createKafkaClient({ ...options, clientId: 'delete-topics' }).admin()
  await admin.connect()
  try {
    const names = options.topics.map(({ name }) => `${options.namespace}.${name}`)
    const findDoomed = async (): Promise<string[]> => {
      const existing = new Set(await admin.listTopics())
      return names.filter((name) => existing.has(name))
    }
    const doomed = await findDoomed()
    if (doomed.length === 0) return
    try {
      await admin.deleteTopics({ topics: doomed })
    } catch (error) {
      if ((await findDoomed()).length > 0) throw error
    }
  } finally {
    await admin.disconnect()
  }
}

/** Waits until the leader of every partition answers for it. */
async function untilReady(admin: Admin, topic: string): Promise<void> {
  const tooLate = new AppError('topic-not-ready', `the topic ${topic} has no leaders yet`, {
    retry: 'transient-everything',
  })
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(tooLate), readyTimeoutMs)
  try {
    await untilDone(() => admin.fetchTopicOffsets(topic), {
      baseMs: 50,
      capMs: 500,
      signal: late.signal,
      onError: () => undefined,
    })
  } finally {
    clearTimeout(timer)
  }
}
