import { AppError, type Component, type Logger } from '@edp/runtime'
import { type Job, Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type { Kind } from '../domain/notification.ts'

/** The name of the queue; its keys are below the namespace. */
export const queueName = 'notifications'

/** What a job carries: which row to look at. All else is in the row. */
export interface JobData {
  readonly notificationId: string
  /** Of the row when the job was added: a job of an earlier round is not the present one. */
  readonly round: number
}

/** What a job came to. */
export type JobResult =
  | { readonly outcome: 'sent'; readonly response: string }
  | { readonly outcome: 'nothing-to-do'; readonly status: string }
  | { readonly outcome: 'planned'; readonly notificationId: string }

export type NotificationQueue = Queue<JobData, JobResult>

/** The name of a kind's jobs, and so of their processor. */
export const jobNames = {
  confirmation: 'send-confirmation',
  cancellation: 'send-cancellation',
  'review-request': 'send-review-request',
  digest: 'send-digest',
} as const satisfies Record<Kind, string>

/** Lower goes first. Every job has one: a job without would go before all that have one. */
export const priorities = {
  cancellation: 1,
  confirmation: 5,
  'review-request': 10,
  digest: 100,
} as const satisfies Record<Kind, number>

/** What a planner's job was planned for: it is in the id that BullMQ gives it, and not what the clock of a process says. */
export function plannedFor({ id, timestamp }: Pick<Job, 'id' | 'timestamp'>): Date {
  const at = Number(id?.split(':').at(-1))
  return new Date(Number.isFinite(at) ? at : timestamp)
}

export interface JobQueueOptions {
  redisUrl: string
  namespace: string
  commandTimeoutMs: number
  logger: Logger
}

const reconnectCapMs = 2000
const reconnectStepMs = 100

/** A connection that comes back by itself, for as long as it takes. */
export function openRedis(
  url: string,
  options: { waits: boolean; commandTimeoutMs?: number },
): Redis {
  const { waits, commandTimeoutMs } = options
  return new Redis(url, {
    // A worker waits for Redis, as BullMQ demands; whoever adds jobs is told at once that it is away, and tries again.
    maxRetriesPerRequest: waits ? null : 1,
    enableOfflineQueue: waits,
    ...(commandTimeoutMs !== undefined && { commandTimeout: commandTimeoutMs }),
    connectTimeout: 5000,
    retryStrategy: (times) => Math.min(times * reconnectStepMs, reconnectCapMs),
  })
}

/**
 * The producer's side of the queue. Nothing here waits for a Redis that is away: BullMQ itself would, until the first connection
 * stands, and for ever if that breaks while it is being made.
 */
export class JobQueue {
  readonly #options: JobQueueOptions
  readonly #redis: Redis
  #opening: Promise<NotificationQueue> | undefined
  #stopped = false

  constructor(options: JobQueueOptions) {
    this.#options = options
    this.#redis = openRedis(options.redisUrl, {
      waits: false,
      commandTimeoutMs: options.commandTimeoutMs,
    })
    // The first line of an outage is the loops' to write: this fires at every attempt to connect.
    this.#redis.on('error', (err) => options.logger.debug({ err }, 'Redis is away'))
  }

  /**
   * Runs `work` on the queue.
   * @throws AppError `transient-everything` when Redis does not answer in time
   */
  async ask<T>(work: (queue: NotificationQueue) => Promise<T>): Promise<T> {
    const { commandTimeoutMs } = this.#options
    const late = Promise.withResolvers<never>()
    const timer = setTimeout(
      () => late.reject(new Error(`no answer within ${commandTimeoutMs} ms`)),
      commandTimeoutMs,
    )
    try {
      return await Promise.race([this.#open().then(work), late.promise])
    } catch (cause) {
      throw new AppError('redis-away', `Redis does not answer: ${String(cause)}`, {
        retry: 'transient-everything',
        cause,
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** For the lifecycle. */
  readonly component: Component = {
    name: 'job-queue',
    start: async () => undefined,
    stop: async () => {
      this.#stopped = true
      this.#redis.disconnect()
    },
  }

  #open(): Promise<NotificationQueue> {
    if (this.#stopped) return Promise.reject(new Error('the queue was closed'))
    if (this.#opening) return this.#opening
    const { namespace, logger } = this.#options
    const queue: NotificationQueue = new Queue<JobData, JobResult>(queueName, {
      connection: this.#redis,
      prefix: namespace,
    })
    queue.on('error', (err) => logger.debug({ err }, 'a command of the queue failed'))
    const opening = queue.waitUntilReady().then(() => queue)
    this.#opening = opening
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined
    })
    return opening
  }
}
