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

/** Every work queue. One queue a class of priority: RabbitMQ's own priorities can starve, and quorum queues had none before 4. */
export const queues: readonly Queue[] = [
  { name: 'inventory.commands', exchange: 'commands' },
  { name: 'inventory.commands.express', exchange: 'commands' },
  { name: 'payment.commands', exchange: 'commands' },
  { name: 'payment.commands.express', exchange: 'commands' },
  { name: 'order.saga-replies', exchange: 'replies' },
  { name: 'order.saga-replies.express', exchange: 'replies' },
  { name: 'inventory-service.redrive', exchange: 'redrive' },
  { name: 'payment-service.redrive', exchange: 'redrive' },
  { name: 'order-service.redrive', exchange: 'redrive' },
  { name: 'notification-service.redrive', exchange: 'redrive' },
  { name: 'order-statistics.redrive', exchange: 'redrive' },
]

/** Whether a destination is the queue of an express class: by its name, which a test holds all of them to. */
export function isExpress(destination: string): boolean {
  return destination.endsWith('.express')
}

/** What a queue is declared with. A queue that exists with other arguments cannot be changed, only made anew. */
export type QueueArguments = Readonly<Record<string, string | number>>

/** A backstop for messages that kill every process that takes them, far above any attempts of our own. */
const deliveryLimit = 1000
/** The end of the road: a message that were dropped from here would be lost. RabbitMQ 4 has a limit of 20 by itself. */
const noDeliveryLimit = 1_000_000_000

/** The arguments of a work queue, whose dead letters go to a queue that is named with its namespace. */
export function workQueueArguments(deadLetters: Queue): QueueArguments {
  return {
    'x-queue-type': 'quorum',
    'x-delivery-limit': deliveryLimit,
    'x-dead-letter-exchange': deadLetters.exchange,
    'x-dead-letter-routing-key': deadLetters.name,
    // Without it the broker may lose a message on its way to the dead letters; it needs the overflow rule.
    'x-dead-letter-strategy': 'at-least-once',
    'x-overflow': 'reject-publish',
  }
}

/** The arguments of the queue of dead letters. */
export const deadLetterQueueArguments: QueueArguments = {
  'x-queue-type': 'quorum',
  'x-delivery-limit': noDeliveryLimit,
}
