import type { Component } from '@edp/runtime'
import { createConsumerSessions } from './consumer-sessions.ts'
import { createKafkaClient, isOutage } from './kafka-client.ts'
import { KafkaSession } from './kafka-session.ts'
import { type ConsumerOptions, groupOf, topicsOf } from './subscription.ts'

/** What `createKafkaConsumer` needs. */
export interface KafkaConsumerOptions extends ConsumerOptions {
  brokers: readonly string[]
  clientId?: string
  /**
   * How long a killed process keeps its partitions; default 10 s, above the 8 s after which Postgres ends its transaction. With less the
   * next owner may wait for that transaction, and a process that stands still for longer loses its partitions.
   */
  sessionTimeoutMs?: number
}

/**
 * Feeds the messages of a consumer's topics to its pipeline: everything that one fetch brought is one transaction, and
 * an offset is committed only after it. It consumes once its Postgres answers, survives outages of Kafka and Postgres by
 * itself (degraded), and never stops for a message.
 *
 * `start` does not wait for the broker: a service is ready without it.
 * @throws Error when the consumer handles nothing that comes over Kafka
 */
export function createKafkaConsumer(options: KafkaConsumerOptions): Component {
  const { name } = options.consumer
  const topics = topicsOf(options)
  if (topics.length === 0) throw new Error(`${name} has no topic`)
  const { brokers, clientId = name, logger, stallMs = 30_000, sessionTimeoutMs = 10_000 } = options
  return createConsumerSessions({
    ...options,
    isOutage,
    absence: 'not in the group',
    openSession: (lane) =>
      new KafkaSession({
        kafka: createKafkaClient({ brokers, logger, clientId }),
        groupId: groupOf(options),
        topics,
        name,
        stallMs,
        sessionTimeoutMs,
        lane,
        logger,
      }),
  })
}
