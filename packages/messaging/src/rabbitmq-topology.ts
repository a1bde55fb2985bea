import {
  deadLetterQueue as deadLetters,
  deadLetterQueueArguments,
  type Queue,
  type QueueArguments,
  queues as allQueues,
  workQueueArguments,
} from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import type { ConfirmChannel } from 'amqplib'
import { openRabbitConnection } from './rabbitmq-connection.ts'

/** What to declare, or to delete, in a namespace: everything unless told. */
export interface TopologyOptions {
  url: string
  namespace: string
  queues?: readonly Queue[]
  deadLetterQueue?: Queue
}

/**
 * Declares every exchange and queue, the dead-letter ones first: RabbitMQ silently loses what it dead-letters to an
 * exchange that does not exist. Declaring what exists changes nothing. Works on RabbitMQ 3.10 and 4.
 * @throws AppError when one exists with other arguments
 */
export async function declareTopology(options: TopologyOptions): Promise<void> {
  const { queues, last } = qualified(options)
  const connection = await openRabbitConnection({ url: options.url, name: 'topology' })
  try {
    const channel = await connection.channel()
    await declare(channel, last, deadLetterQueueArguments)
    for (const queue of queues) await declare(channel, queue, workQueueArguments(last))
  } finally {
    await connection.close()
  }
}

/** Deletes every exchange and queue of a namespace, with what is in them. What is not there is no error. */
export async function deleteTopology(options: TopologyOptions): Promise<void> {
  const { queues, last } = qualified(options)
  const connection = await openRabbitConnection({ url: options.url, name: 'topology' })
  try {
    const channel = await connection.channel()
    for (const { name } of [...queues, last]) await channel.deleteQueue(name)
    const exchanges = new Set([...queues, last].map(({ exchange }) => exchange))
    for (const exchange of exchanges) await channel.deleteExchange(exchange)
  } finally {
    await connection.close()
  }
}

function qualified(options: TopologyOptions): { queues: Queue[]; last: Queue } {
  const { namespace, queues = allQueues, deadLetterQueue = deadLetters } = options
  const qualify = (queue: Queue): Queue => ({
    name: `${namespace}.${queue.name}`,
    exchange: `${namespace}.${queue.exchange}`,
  })
  return { queues: queues.map(qualify), last: qualify(deadLetterQueue) }
}

async function declare(
  channel: ConfirmChannel,
  { name, exchange }: Queue,
  args: QueueArguments,
): Promise<void> {
  await asDeclared(
    `exchange ${exchange}`,
    channel.assertExchange(exchange, 'direct', { durable: true }),
  )
  await asDeclared(`queue ${name}`, channel.assertQueue(name, { durable: true, arguments: args }))
  await channel.bindQueue(name, exchange, name)
}

/** The broker closes a channel with this code (precondition failed) when what exists is of another kind. */
const preconditionFailed = 406

async function asDeclared(what: string, declaring: Promise<unknown>): Promise<void> {
  try {
    await declaring
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === preconditionFailed))
      throw error
    const advice = 'its arguments cannot be changed: move its messages, delete it, declare again'
    throw new AppError(
      'topology-differs',
      `the ${what} is another one; ${advice}: ${error.message}`,
      {
        retry: 'permanent',
        cause: error,
      },
    )
  }
}
