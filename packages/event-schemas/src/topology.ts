/** A Kafka topic, named without the namespace. */
export interface Topic {
  readonly name: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
}

const retention = { 'retention.ms': String(7 * 24 * 60 * 60 * 1000) }

/** Every topic, one for each producer's stream of facts, keyed by order id. */
export const topics: readonly Topic[] = [
  { name: 'order.events', partitions: 6, config: retention },
  { name: 'inventory.events', partitions: 6, config: retention },
  { name: 'payment.events', partitions: 6, config: retention },
  {
    name: 'dead-letters',
    partitions: 6,
    // Larger than the largest message, so that whatever is dead fits with what is said about it.
    config: { ...retention, 'max.message.bytes': String(4 * 1024 * 1024) },
  },
]

/** A RabbitMQ quorum queue bound to its exchange by its own name, all without the namespace. */
export interface Queue {
  readonly name: string
  readonly exchange: string
}

/** The exchange and queue for what the broker itself dead-letters. Declared before every work queue. */
export const deadLetterQueue: Queue = { name: 'dlq', exchange: 'dlx' }

/** Every work queue. */
export const queues: readonly Queue[] = [
  { name: 'inventory.commands', exchange: 'commands' },
  { name: 'payment.commands', exchange: 'commands' },
  { name: 'order.saga-replies', exchange: 'replies' },
  { name: 'inventory-service.redrive', exchange: 'redrive' },
  { name: 'payment-service.redrive', exchange: 'redrive' },
  { name: 'order-service.redrive', exchange: 'redrive' },
]
