import type { Component } from '@edp/runtime'
import { createConsumerSessions } from './consumer-sessions.ts'
import { type Share, classShares } from './making-room.ts'
import { connectToRabbit } from './rabbitmq-connection.ts'
import type { HeaderChoice } from './rabbitmq-message.ts'
import { RabbitSession } from './rabbitmq-session.ts'
import { type ConsumerOptions, queueClassesOf } from './subscription.ts'

/** What `createRabbitConsumer` needs. */
export interface RabbitConsumerOptions extends ConsumerOptions {
  /** `amqp://user:password@host:port/vhost`. */
  url: string
  /**
   * How many messages of each queue may be here and not acknowledged; default twice `batchMessagesMax`, so that the next
   * batch is here when one ends.
   */
  prefetchMax?: number
  /**
   * How long standard messages rest after a batch while express ones come, in times of what the batch took; default 5, so that they
   * keep a sixth of the time. 0 where whatever a message passes has cores of its own.
   */
  standardRestPerBatch?: number
  /** `all` also has the broker's own (`x-death`), and those that are not text as JSON; default: the text ones of the message. */
  headers?: HeaderChoice
}

const batchMessagesMaxDefault = 1000
const standardRestPerBatch = 5
/** AMQP counts them in 16 bits, and 0 means without end. */
const prefetchLimit = 65_535

// What shares a transaction where there are express messages too. Smaller than those, so that an express batch waits for the locks
// and the thread of a short one.
const standardBatchMessagesMax = 250

/**
 * Feeds the messages of a consumer's queues to its pipeline: everything that the broker has handed over is one transaction,
 * and is acknowledged only after it. Over a connection of its own. It consumes once its Postgres answers, survives outages of
 * RabbitMQ and Postgres and queues that are gone by itself (degraded), and never stops for a message. RabbitMQ promises no order.
 *
 * Express messages have a connection, a prefetch and transactions of their own beside the standard ones, into the same pipeline,
 * inbox and rows. So neither class ever waits for the other's backlog, however long: nothing can starve. While express ones come, the
 * standard ones rest after each batch, and leave the cores to what the express ones pass after this consumer.
 *
 * `start` does not wait for the broker: a service is ready without it.
 * @throws Error when the consumer handles nothing that comes over RabbitMQ
 */
export function createRabbitConsumer(options: RabbitConsumerOptions): Component {
  const { name } = options.consumer
  const { standard, express } = queueClassesOf(options)
  if (standard.length === 0) throw new Error(`${name} has no queue`)
  if (express.length === 0) return consumeQueues(options, { name, queues: standard })
  const { batchMessagesMax = batchMessagesMaxDefault } = options
  const short = {
    ...options,
    batchMessagesMax: Math.min(batchMessagesMax, standardBatchMessagesMax),
  }
  const shares = classShares(options.standardRestPerBatch ?? standardRestPerBatch)
  const classes = [
    consumeQueues(short, { name, queues: standard, share: shares.standard }),
    consumeQueues(options, { name: `${name}.express`, queues: express, share: shares.express }),
  ]
  return {
    name,
    start: async () => void (await Promise.all(classes.map((one) => one.start()))),
    stop: async () => void (await Promise.all(classes.map((one) => one.stop()))),
  }
}

/** Consumes queues alike; `name` is what the connection is called, and its health. */
function consumeQueues(
  options: RabbitConsumerOptions,
  { name, queues, share }: { name: string; queues: readonly string[]; share?: Share },
): Component {
  const { url, consumer, batchMessagesMax = batchMessagesMaxDefault, stallMs = 30_000 } = options
  const prefetchMax = Math.min(options.prefetchMax ?? 2 * batchMessagesMax, prefetchLimit)
  return createConsumerSessions({
    ...options,
    name,
    ...(share && { share }),
    // Also a wrong password or a missing queue: whoever mends that need not restart us.
    isOutage: (error) => error instanceof Error && !(error instanceof TypeError),
    absence: 'not consuming',
    openSession: (lane) =>
      new RabbitSession({
        connect: () => connectToRabbit({ url, name }),
        queues,
        name: consumer.name,
        prefetchMax,
        ...(options.headers && { headers: options.headers }),
        lane,
        stallMs,
      }),
  })
}
