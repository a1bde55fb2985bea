import { counter, createLoop, gauge, type Logger, type Loop } from '@edp/runtime'
import { QueueEvents } from 'bullmq'
import type { Redis } from 'ioredis'
import type { NotificationQueries } from '../db/notification-queries.ts'
import { type JobQueue, queueName } from './job-queue.ts'

const lifecycle = counter('edp_jobs_total', 'What has happened to jobs, since this process looks', [
  'queue',
  'event',
])
const queueJobs = gauge('edp_queue_jobs', 'Jobs of a queue by their state', ['queue', 'state'])
const stalledRecently = gauge(
  'edp_queue_jobs_stalled_recently',
  'Jobs that have stalled within the window: their process ended or hung',
  ['queue'],
)
const openNotifications = gauge(
  'edp_notifications_open',
  'Notifications to be sent, now or later',
  ['kind'],
)
const dueLag = gauge(
  'edp_notification_due_lag_seconds',
  'How long the oldest notification that is due has been due',
)

/** What BullMQ tells of a queue. */
export interface JobEvents {
  /** A listener for `createRunner`. */
  make(connection: Redis): QueueEvents
  /** How many jobs have stalled within the window. */
  stalledRecently(now: number): number
}

/** Counts what happens to jobs. `onFailed`: one has failed for good. Every process hears of every job. */
export function createJobEvents(options: {
  namespace: string
  stalledWindowMs: number
  onFailed: () => void
  logger: Logger
}): JobEvents {
  const { namespace, stalledWindowMs, onFailed, logger } = options
  let stalls: number[] = []
  const count = (event: string) => (): void => lifecycle.inc({ queue: queueName, event })
  for (const event of ['waiting', 'active', 'completed', 'failed', 'stalled', 'delayed']) {
    lifecycle.inc({ queue: queueName, event }, 0)
  }
  return {
    make(connection) {
      const events = new QueueEvents(queueName, { connection, prefix: namespace, autorun: false })
      events.on('waiting', count('waiting'))
      events.on('active', count('active'))
      events.on('completed', count('completed'))
      events.on('delayed', count('delayed'))
      events.on('failed', () => {
        count('failed')()
        onFailed()
      })
      events.on('retries-exhausted', onFailed)
      events.on('stalled', ({ jobId }) => {
        count('stalled')()
        stalls.push(Date.now())
        logger.warn({ jobId }, 'a job has stalled: its process ended or hung')
      })
      events.on('error', (err) => logger.debug({ err }, 'the listener to jobs meets an error'))
      return events
    },
    stalledRecently(now) {
      stalls = stalls.filter((at) => at > now - stalledWindowMs)
      return stalls.length
    },
  }
}

/** Counts the jobs in Redis. Its last counts stand while Redis is away, when the health of the service says so. */
export function createQueueCounts(options: {
  jobs: JobQueue
  events: JobEvents
  intervalMs: number
  logger: Logger
}): Loop {
  const { jobs, events, intervalMs, logger } = options
  return createLoop({
    name: 'queue-counts',
    intervalMs,
    logger,
    work: async () => {
      stalledRecently.set({ queue: queueName }, events.stalledRecently(Date.now()))
      const {
        waiting = 0,
        prioritized = 0,
        ...others
      } = await jobs.ask((queue) =>
        queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'completed', 'failed'),
      )
      // With a priority or not, it waits.
      const states = { ...others, waiting: waiting + prioritized }
      for (const [state, count] of Object.entries(states)) {
        queueJobs.set({ queue: queueName, state }, count)
      }
    },
  })
}

/** Measures what is owed, from the small index of what is pending: this is right without Redis too. */
export function createNotificationMetrics(options: {
  queries: NotificationQueries
  logger: Logger
}): Loop {
  const { queries, logger } = options
  return createLoop({
    name: 'notification-metrics',
    intervalMs: 5000,
    logger,
    work: async () => {
      const open = await queries.countOpen()
      openNotifications.reset()
      for (const { kind, count } of open) openNotifications.set({ kind }, count)
      dueLag.set(Math.max(0, ...open.map(({ lagSeconds }) => lagSeconds)))
    },
  })
}
