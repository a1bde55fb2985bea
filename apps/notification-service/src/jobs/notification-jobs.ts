import type { Component, Database, Health, Logger } from '@edp/runtime'
import type { DueWork } from '@edp/messaging'
import type { Processor } from 'bullmq'
import type { Config } from '../config.ts'
import type { NotificationQueries } from '../db/notification-queries.ts'
import { createDeadJobs } from './dead-jobs.ts'
import { createDigests } from './digest.ts'
import { createFeeder, createReconciler } from './feeder.ts'
import { createJobEvents, createNotificationMetrics, createQueueCounts } from './job-metrics.ts'
import { type JobData, JobQueue, type JobResult } from './job-queue.ts'
import { createJobStore } from './job-store.ts'
import { createRunner, makeWorker } from './job-worker.ts'
import { createMailSender } from './mail-sender.ts'
import { Pause } from './pause.ts'
import { createProcessor } from './processors.ts'
import { jobsDueWork } from './redrive-jobs.ts'

export interface NotificationJobs {
  /** There may be jobs to add or remove. */
  readonly feedNow: () => void
  readonly dueWork: DueWork
  readonly components: Component[]
}

/** What the jobs are built on. */
export interface JobsParts {
  source: string
  database: Database
  queries: NotificationQueries
  logger: Logger
  health: Health
  onCrash: (error: unknown) => void
}

/** Everything behind the rows: what brings them to Redis, what takes them from there and sends them, and what looks after both. */
export function createNotificationJobs(config: Config, parts: JobsParts): NotificationJobs {
  const { source, database, queries, logger, health, onCrash } = parts
  const namespace = config.MESSAGING_NAMESPACE
  const redisUrl = config.REDIS_URL
  const jobs = new JobQueue({
    redisUrl,
    namespace,
    commandTimeoutMs: config.REDIS_COMMAND_TIMEOUT_MS,
    logger,
  })
  const store = createJobStore({ database, source, namespace, leaseMs: config.LEASE_MS })
  const feed = {
    database,
    jobs,
    attemptsMax: config.JOB_ATTEMPTS_MAX,
    retryBaseMs: config.JOB_RETRY_BASE_MS,
    logger,
  }
  const feeder = createFeeder({ ...feed, intervalMs: config.FEED_INTERVAL_MS })
  const feedNow = (): void => feeder.poke()
  const digests = createDigests({
    database,
    jobs,
    source,
    namespace,
    recipient: config.OPERATIONS_EMAIL,
    intervalMs: config.DIGEST_INTERVAL_MS,
    offsetMs: config.DIGEST_OFFSET_MS,
    onPlanned: feedNow,
  })
  const reconciler = createReconciler({
    ...feed,
    intervalMs: config.RECONCILE_INTERVAL_MS,
    afterMs: config.RECONCILE_AFTER_MS,
    keepDigest: () => digests.keep(new Date()),
  })
  const deadJobs = createDeadJobs({
    jobs,
    store,
    buryDigest: digests.bury,
    intervalMs: config.DEAD_JOBS_INTERVAL_MS,
    logger,
  })
  const events = createJobEvents({
    namespace,
    stalledWindowMs: config.STALLED_WINDOW_MS,
    onFailed: () => deadJobs.poke(),
    logger,
  })
  const running = { redisUrl, logger, onCrash }
  const listener = createRunner({ ...running, name: 'job-events', make: (at) => events.make(at) })
  const counts = createQueueCounts({
    jobs,
    events,
    intervalMs: config.JOB_COUNT_INTERVAL_MS,
    logger,
  })
  const sending = createSending(config, { ...parts, namespace, jobs, store, plan: digests.plan })
  const loops = [feeder, reconciler, deadJobs, counts]
  for (const loop of loops) health.register(loop.name, () => loop.report())
  const metrics = createNotificationMetrics({ queries, logger })
  return {
    feedNow,
    dueWork: jobsDueWork(feedNow),
    components: [jobs.component, metrics, listener, ...loops, ...sending],
  }
}

function createSending(
  config: Config,
  parts: {
    namespace: string
    jobs: JobQueue
    store: ReturnType<typeof createJobStore>
    plan: (at: Date) => Promise<string>
    logger: Logger
    health: Health
    onCrash: (error: unknown) => void
  },
): Component[] {
  const { namespace, jobs, store, plan, logger, health, onCrash } = parts
  const sender = createMailSender({
    smtpUrl: config.SMTP_URL,
    from: config.MAIL_FROM,
    connectTimeoutMs: config.SMTP_CONNECT_TIMEOUT_MS,
    answerTimeoutMs: config.SMTP_ANSWER_TIMEOUT_MS,
    connectionsMax: config.JOB_CONCURRENCY,
  })
  const pause = new Pause({
    baseMs: config.PROVIDER_RETRY_BASE_MS,
    capMs: config.PROVIDER_RETRY_CAP_MS,
  })
  const hand = inHand(
    createProcessor({
      store,
      sender,
      jobs,
      pause,
      leaseMs: config.LEASE_MS,
      planDigest: plan,
      logger,
    }),
  )
  const worker = createRunner({
    name: 'job-worker',
    redisUrl: config.REDIS_URL,
    make: (connection) =>
      makeWorker(connection, {
        namespace,
        process: hand.process,
        concurrency: config.JOB_CONCURRENCY,
        perSecondMax: config.MAILS_PER_SECOND_MAX,
        lockMs: config.JOB_LOCK_MS,
        logger,
      }),
    idle: hand.idle,
    logger,
    onCrash,
  })
  health.register('smtp', () => pause.report())
  health.register(worker.name, () => worker.report())
  const connections: Component = {
    name: 'smtp-connections',
    start: async () => undefined,
    stop: async () => sender.close(),
  }
  return [connections, hand.component, worker]
}

/** Jobs that are under way are finished before what they need is stopped, also when the worker cannot wait for them itself. */
function inHand(process: Processor<JobData, JobResult>): {
  process: Processor<JobData, JobResult>
  idle: () => Promise<void>
  component: Component
} {
  const running = new Set<Promise<unknown>>()
  const idle = async (): Promise<void> => {
    await Promise.allSettled(running)
  }
  return {
    idle,
    process: async (job, token) => {
      const work = Promise.resolve(process(job, token))
      running.add(work)
      try {
        return await work
      } finally {
        running.delete(work)
      }
    },
    component: {
      name: 'jobs-in-hand',
      start: async () => undefined,
      stop: idle,
    },
  }
}
