import {
  counter,
  createLoop,
  type Database,
  faultPoint,
  type Logger,
  type Loop,
} from '@edp/runtime'
import type { JobsOptions } from 'bullmq'
import {
  type FeedRow,
  markRemoved,
  markSeen,
  rowsToAdd,
  rowsToCompare,
  rowsToRemove,
} from '../db/feed-rows.ts'
import {
  type JobData,
  type JobQueue,
  jobNames,
  type NotificationQueue,
  priorities,
} from './job-queue.ts'

const batchMax = 500

export interface FeedOptions {
  database: Pick<Database, 'transaction'>
  jobs: JobQueue
  attemptsMax: number
  retryBaseMs: number
  logger: Logger
}

const added = counter('edp_jobs_added_total', 'Jobs added for rows that had none', ['reason'])

/** A job for a row. The row's id is the job's, so adding it twice is adding it once. */
function jobFor(
  row: FeedRow,
  { attemptsMax, retryBaseMs }: FeedOptions,
): { name: string; data: JobData; opts: JobsOptions } {
  return {
    name: jobNames[row.kind],
    data: { notificationId: row.id, round: row.round },
    opts: {
      jobId: row.id,
      priority: priorities[row.kind],
      delay: Math.max(0, Math.ceil(row.due_in_ms)),
      attempts: attemptsMax,
      // Full jitter: what failed together does not come back together.
      backoff: { type: 'exponential', delay: retryBaseMs, jitter: 1 },
      removeOnComplete: { count: 1000 },
      removeOnFail: { count: 5000 },
    },
  }
}

/**
 * Carries what is committed to Redis: adds a job for each new row, removes those of cancelled ones. Adding and marking are no
 * transaction: a crash between them adds the job again, which changes nothing. Were the consumer to add it, a crash after its
 * commit would forget it.
 */
export function createFeeder(options: FeedOptions & { intervalMs: number }): Loop {
  const { database, jobs, intervalMs, logger } = options
  return createLoop({
    name: 'job-feeder',
    intervalMs,
    logger,
    work: async () => {
      const [rows, cancelled] = await database.transaction((tx) =>
        Promise.all([rowsToAdd(tx, batchMax), rowsToRemove(tx, batchMax)]),
      )
      if (rows.length > 0) {
        await faultPoint('feeder.before-add')
        await jobs.ask((queue) => add(queue, rows, options))
        await faultPoint('feeder.added')
        await database.transaction((tx) => markSeen(tx, rows))
        added.inc({ reason: 'new' }, rows.length)
      }
      if (cancelled.length > 0) {
        await faultPoint('feeder.before-remove')
        await jobs.ask((queue) => removeAll(queue, cancelled))
        await faultPoint('feeder.removed')
        await database.transaction((tx) => markRemoved(tx, cancelled))
      }
      return rows.length === batchMax || cancelled.length === batchMax ? 'again' : undefined
    },
  })
}

async function add(
  queue: NotificationQueue,
  rows: readonly FeedRow[],
  options: FeedOptions,
): Promise<void> {
  // A job of an earlier round lies among the failed ones, and its id would keep the new one out.
  await removeAll(
    queue,
    rows.filter(({ round }) => round > 0).map(({ id }) => id),
  )
  await queue.addBulk(rows.map((row) => jobFor(row, options)))
}

// One that is running cannot be removed; it finds out from its row.
async function removeAll(queue: NotificationQueue, ids: readonly string[]): Promise<void> {
  await Promise.all(ids.map((id) => queue.remove(id)))
}

/**
 * The safety net: what is due, unsent and has no lease is compared with Redis, and added again where Redis has forgotten it, or
 * takes it for finished. Also after all of Redis was emptied.
 */
export function createReconciler(
  options: FeedOptions & { intervalMs: number; afterMs: number; keepDigest: () => Promise<void> },
): Loop {
  const { database, jobs, intervalMs, afterMs, keepDigest, logger } = options

  async function compare(): Promise<'again' | undefined> {
    const rows = await database.transaction((tx) => rowsToCompare(tx, { limit: batchMax, afterMs }))
    if (rows.length === 0) return undefined
    const lost = await jobs.ask((queue) => lostJobs(queue, rows))
    if (lost.length > 0) {
      logger.warn({ jobs: lost.length }, 'jobs that Redis has lost are added again')
      await faultPoint('reconciler.before-add')
      await jobs.ask(async (queue) => {
        await removeAll(
          queue,
          lost.map(({ id }) => id),
        )
        await add(queue, lost, options)
      })
      await faultPoint('reconciler.added')
      added.inc({ reason: 'lost' }, lost.length)
    }
    await database.transaction((tx) => markSeen(tx, rows))
    return rows.length === batchMax ? 'again' : undefined
  }

  return createLoop({
    name: 'job-reconciler',
    intervalMs,
    logger,
    work: async () => {
      const more = await compare()
      // Last: a digest that cannot be planned holds up nothing.
      await keepDigest()
      return more
    },
  })
}

/** A failed job of the present round is left to its dead letter. */
async function lostJobs(queue: NotificationQueue, rows: readonly FeedRow[]): Promise<FeedRow[]> {
  const states = await Promise.all(
    rows.map(async (row) => {
      const state = await queue.getJobState(row.id)
      if (state !== 'failed') return state
      return (await queue.getJob(row.id))?.data.round === row.round ? state : 'unknown'
    }),
  )
  return rows.filter((_row, index) => states[index] === 'unknown' || states[index] === 'completed')
}
