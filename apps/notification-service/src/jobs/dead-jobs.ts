import { createLoop, type Logger, type Loop } from '@edp/runtime'
import { type JobQueue, plannedFor } from './job-queue.ts'
import type { JobStore } from './job-store.ts'

const pageJobs = 200
const stalledReason = 'job stalled more than allowable limit'

/**
 * Makes a dead letter of every job that has failed for good. BullMQ says so by an event, which pokes this, but keeps only its newest
 * events: so the failed jobs themselves are compared with the rows, and the events only make it quick. Asked for at once, it looks
 * at the newest until it finds a page with nothing new; else, and at every interval, at all of them.
 */
export function createDeadJobs(options: {
  jobs: JobQueue
  store: JobStore
  /** The same for the planner of a digest, which has no row yet. */
  buryDigest: (due: Date, message: string) => Promise<boolean>
  intervalMs: number
  logger: Logger
}): Loop {
  const { jobs, store, buryDigest, intervalMs, logger } = options
  let comparedAllAt = -Infinity

  async function buryPage(start: number): Promise<{ count: number; dead: number }> {
    const failed = await jobs.ask((queue) => queue.getFailed(start, start + pageJobs - 1))
    const buried = await Promise.all(
      failed.map(async (job) => {
        if (job === undefined) return false
        if (job.repeatJobKey !== undefined)
          return await buryDigest(plannedFor(job), job.failedReason)
        const { notificationId: id, round } = job.data
        const isStalled = job.failedReason === stalledReason
        return await store.settle({
          id,
          owner: null,
          outcome: { kind: 'exhausted', round, isStalled, message: job.failedReason },
        })
      }),
    )
    return { count: failed.length, dead: buried.filter(Boolean).length }
  }

  return createLoop({
    name: 'dead-jobs',
    intervalMs,
    logger,
    work: async () => {
      const startedAt = performance.now()
      const all = startedAt - comparedAllAt >= intervalMs
      for (let start = 0; ; start += pageJobs) {
        const { count, dead } = await buryPage(start)
        if (dead > 0) logger.warn({ dead }, 'jobs have failed for good')
        if (count < pageJobs || (dead === 0 && !all)) break
      }
      if (all) comparedAllAt = startedAt
    },
  })
}
