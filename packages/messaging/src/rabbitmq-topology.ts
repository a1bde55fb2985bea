import { deadLetterQueue as deadLetters, type Queue, queues as allQueues } from '@edp/event-schemas'
import type { ConfirmChannel } from 'amqplib'
import { openRabbitConnection } from './rabbitmq-connection.ts'

/** A backstop for messages that kill every process that takes them, far above any attempts of our own. */
const deliveryLimit = 1000
/** The end of the road: a message that were dropped from here would be lost. RabbitMQ 4 has a limit of 20 by itself. */
const noDeliveryLimit = 1_000_000_000

/**
 * Declares every exchange and queue, the dead-letter ones first: RabbitMQ silently loses what it dead-letters to an
 * exchange that does not exist. Declaring what exists changes nothing. Works on RabbitMQ 3.10 and 4.
 * @throws when one exists with other arguments
 */
export async function declareTopology(options: {
  url: string
  namespace: string
  queues?: readonly Queue[]
  deadLetterQueue?: Queue
}): Promise<void> {
  const { url, namespace, queues = allQueues, deadLetterQueue = deadLetters } = options
  const qualified = (queue: Queue): Queue => ({
    name: `${namespace}.${queue.name}`,
    exchange: `${namespace}.${queue.exchange}`,
  })
  const connection = await openRabbitConnection({ url, name: 'topology' })
  try {
    const channel = await connection.channel()
    const last = qualified(deadLetterQueue)
    await declare(channel, last, { 'x-delivery-limit': noDeliveryLimit })
    for (const queue of queues) {
      await declare(channel, qualified(queue), {
        'x-delivery-limit': deliveryLimit,
        'x-dead-letter-exchange': last.exchange,
        'x-dead-letter-routing-key': last.name,
        // Without it the broker may lose a message on its way to the dead letters; it needs the overflow rule.
        'x-dead-letter-strategy': 'at-least-once',
        'x-overflow': 'reject-publish',
      })
    }
  } finally {
    await connection.close()
  }
}

async function declare(
  channel: ConfirmChannel,
  { name, exchange }: Queue,
  limits: Readonly<Record<string, string | number>>,
): Promise<void> {
  await channel.assertExchange(exchange, 'direct', { durable: true })
  await channel.assertQueue(name, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', ...limits },
  })
  await channel.bindQueue(name, exchange, name)
}
