import { type Database, noRow, statement } from '@edp/runtime'
import { z } from 'zod'
import { type Counts, digestId, kinds, statuses } from '../domain/notification.ts'
import { type JobQueue, jobNames, priorities } from './job-queue.ts'

const schedulerId = 'digest'

const countsBetween = statement(
  'digest_counts',
  z.object({ kind: z.enum(kinds), status: z.enum(statuses), count: z.number() }),
  `select kind, status, count(*)::integer as count from notifications
   where created_at >= $1 and created_at < $2 group by kind, status order by kind, status`,
)

const anyBefore = statement(
  'digest_any_before',
  z.object({ any_before: z.boolean() }),
  `select coalesce(min(created_at) < $1, false) as any_before from notifications`,
)

const insert = statement(
  'digest_insert',
  noRow,
  `insert into notifications (id, kind, recipient, content, status, due_at)
   values ($1, 'digest', $2, $3, 'pending', $4) on conflict (id) do nothing`,
)

const exists = statement(
  'digest_exists',
  z.object({ id: z.string() }),
  `select id from notifications where id = $1`,
)

export interface DigestOptions {
  database: Pick<Database, 'transaction'>
  jobs: JobQueue
  recipient: string
  intervalMs: number
  offsetMs: number
  /** Told that there is a row without a job. */
  onPlanned: () => void
}

/** The digests for the operators. */
export interface Digests {
  /** Writes the row of the digest that was due last at `at`, once, however often it is asked for. @returns its id */
  plan(at: Date): Promise<string>
  /** Sees to the Job Scheduler, and to a digest that it has missed: with Redis emptied, or all processes down. */
  keep(now: Date): Promise<void>
}

/** When the digest was due last. */
export function lastDigestAt(at: Date, options: { intervalMs: number; offsetMs: number }): Date {
  const { intervalMs, offsetMs } = options
  return new Date(Math.floor((at.getTime() - offsetMs) / intervalMs) * intervalMs + offsetMs)
}

/** Has a digest sent at every interval. The Job Scheduler says when; the row, one for each time, says whether. */
export function createDigests(options: DigestOptions): Digests {
  const { database, jobs, recipient, intervalMs, offsetMs, onPlanned } = options
  let isScheduled = false

  async function plan(at: Date): Promise<string> {
    const until = lastDigestAt(at, options)
    const since = new Date(until.getTime() - intervalMs)
    const id = digestId(until)
    await database.transaction(async (tx) => {
      const counts: Counts = await tx.run(countsBetween, [since, until])
      const period = { since: since.toISOString(), until: until.toISOString() }
      const content = JSON.stringify({ kind: 'digest', ...period, counts })
      await tx.execute(insert, [id, recipient, content, until])
    })
    onPlanned()
    return id
  }

  /** An hour, or a tenth of a short interval: a scheduler that is on time is never overtaken. */
  const missedAfterMs = Math.min(3_600_000, intervalMs / 10)

  async function planMissed(now: Date): Promise<void> {
    const until = lastDigestAt(now, options)
    if (now.getTime() - until.getTime() < missedAfterMs) return
    const missed = await database.transaction(async (tx) => {
      const [planned, [before]] = await Promise.all([
        tx.run(exists, [digestId(until)]),
        tx.run(anyBefore, [until]),
      ])
      // Who has only just begun has nothing to tell.
      return planned.length === 0 && before?.any_before === true
    })
    if (missed) await plan(now)
  }

  async function schedule(): Promise<void> {
    await jobs.ask(async (queue) => {
      // Its settings may have changed since another process made it; later it is only made again when Redis has lost it.
      if (isScheduled && (await queue.getJobScheduler(schedulerId))) return
      await queue.upsertJobScheduler(
        schedulerId,
        { every: intervalMs, offset: offsetMs % intervalMs || intervalMs },
        {
          name: jobNames.digest,
          opts: {
            priority: priorities.digest,
            attempts: 3,
            removeOnComplete: { count: 1000 },
            removeOnFail: { count: 5000 },
          },
        },
      )
      isScheduled = true
    })
  }

  return {
    plan,
    keep: async (now) => {
      await planMissed(now)
      await schedule()
    },
  }
}
