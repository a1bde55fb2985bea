import { type Destination, qualify } from '@edp/event-schemas'
import type { AppError, Health, Logger } from '@edp/runtime'
import type { Pipeline } from './pipeline.ts'

/** What a broker has to know of a consumer; `consumer(…)` makes one. */
export interface Subscription {
  readonly name: string
  readonly handlers: ReadonlyMap<
    string,
    { readonly contract: { readonly destination: Destination } }
  >
}

/** What every broker's consumer needs. */
export interface ConsumerOptions {
  namespace: string
  consumer: Subscription
  pipeline: Pipeline
  logger: Logger
  health: Health
  /** Told once when the consumer has stopped for good: end the process, a silent stop is the worst failure. */
  onCrash: (error: AppError) => void
  /** The longest wait after a batch, in which the next one grows; 30 ms for each thousand messages a second. Default 30. */
  lingerMsMax?: number
  /** How many messages share a transaction; default 1000. */
  batchMessagesMax?: number
  /** When a consumer that handles nothing becomes unhealthy; default 30 s. */
  stallMs?: number
}

/** The name of the consumer on the broker: the Kafka group. */
export function groupOf({ namespace, consumer }: ConsumerOptions): string {
  return `${namespace}.${consumer.name}`
}

/** The Kafka topics of everything that a consumer handles, with the namespace. */
export function topicsOf({ namespace, consumer }: ConsumerOptions): string[] {
  const topics = new Set<string>()
  for (const { contract } of consumer.handlers.values()) {
    if (contract.destination.transport === 'kafka')
      topics.add(qualify(contract.destination, namespace))
  }
  return [...topics].toSorted()
}

/** The RabbitMQ queues of everything that a consumer handles, with the namespace. A queue is bound by its own name. */
export function queuesOf(options: ConsumerOptions): string[] {
  const { standard, express } = queueClassesOf(options)
  return [...standard, ...express].toSorted()
}

/** The same by priority: what is bound by no other name is standard. */
export function queueClassesOf({ namespace, consumer }: ConsumerOptions): {
  readonly standard: readonly string[]
  readonly express: readonly string[]
} {
  const standard = new Set<string>()
  const express = new Set<string>()
  for (const { contract } of consumer.handlers.values()) {
    const { destination } = contract
    if (destination.transport === 'kafka') continue
    standard.add(`${namespace}.${destination.routingKey}`)
    if (destination.express !== undefined) express.add(`${namespace}.${destination.express}`)
  }
  return { standard: [...standard].toSorted(), express: [...express].toSorted() }
}
