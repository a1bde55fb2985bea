import { storableText } from '@edp/messaging'
import { enqueue } from '@edp/outbox'
import { type Database, noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { lockJobRows } from '../db/job-rows.ts'
import { type Content, digestId, kinds, statuses } from '../domain/notification.ts'
import type { JobRow } from '../domain/sending.ts'
import { jobLetter, originOf } from './job-letter.ts'
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

const insertDead = statement(
  'digest_insert_dead',
  noRow,
  `insert into notifications (id, kind, recipient, content, status, due_at, error_code, error_message, first_failed_at,
     last_failed_at, is_dead_lettered)
   values ($1, 'digest', $2, $3, 'dead', $4, 'job-failed', $5, now(), now(), true) on conflict (id) do nothing`,
)

const saveContent = statement(
  'digest_save_content',
  noRow,
  `update notifications set content = $2 where id = $1`,
)

const exists = statement(
  'digest_exists',
  z.object({ id: z.string() }),
  `select id from notifications where id = $1`,
)

export interface DigestOptions {
  database: Pick<Database, 'transaction'>
  jobs: JobQueue
  source: string
  namespace: string
  recipient: string
  intervalMs: number
  offsetMs: number
  /** Told that there is a row without a job. */
  onPlanned: () => void
}

/** The digests for the operators. */
export interface Digests {
  /** Writes the row of the digest that was due last at `at`, once, however often it is asked for. @returns its id */
  readonly plan: (at: Date) => Promise<string>
  /**
   * Makes a dead letter of the digest that was due last at `at`, whose planner has failed for good with `message`. @returns false when
   * there is one already, or another has planned it
   */
  readonly bury: (at: Date, message: string) => Promise<boolean>
  /** Sees to the Job Scheduler, and to a digest that it has missed: with Redis emptied, or all processes down. */
  keep(now: Date): Promise<void>
}

/** When the digest was due last. */
export function lastDigestAt(at: Date, options: { intervalMs: number; offsetMs: number }): Date {
  const { intervalMs, offsetMs } = options
  return new Date(Math.floor((at.getTime() - offsetMs) / intervalMs) * intervalMs + offsetMs)
}

type Digest = Extract<Content, { kind: 'digest' }>

async function counted(tx: Tx, digest: Digest): Promise<Digest> {
  return { ...digest, counts: await tx.run(countsBetween, [digest.since, digest.until]) }
}

/** Counts for the digests among these rows, which are locked: one whose planner had failed has never been counted. */
export async function countDigests(tx: Tx, rows: readonly JobRow[]): Promise<void> {
  for (const { id, content } of rows) {
    if (content.kind !== 'digest') continue
    await tx.execute(saveContent, [id, JSON.stringify(await counted(tx, content))])
  }
}

/** Has a digest sent at every interval. The Job Scheduler says when; the row, one for each time, says whether. */
export function createDigests(options: DigestOptions): Digests {
  const { database, source, namespace, recipient, intervalMs, onPlanned } = options
  const schedule = scheduling(options)

  /** Of the interval that ends then; nothing is counted yet. */
  const digestOf = (until: Date): Digest => ({
    kind: 'digest',
    since: new Date(until.getTime() - intervalMs).toISOString(),
    until: until.toISOString(),
    counts: [],
  })

  async function plan(at: Date): Promise<string> {
    const until = lastDigestAt(at, options)
    const id = digestId(until)
    await database.transaction(async (tx) => {
      const content = await counted(tx, digestOf(until))
      await tx.execute(insert, [id, recipient, JSON.stringify(content), until])
    })
    onPlanned()
    return id
  }

  async function bury(at: Date, message: string): Promise<boolean> {
    const until = lastDigestAt(at, options)
    const id = digestId(until)
    return await database.transaction(async (tx) => {
      const content = JSON.stringify(digestOf(until))
      const values = [id, recipient, content, until, storableText(message)]
      if ((await tx.execute(insertDead, values)) === 0) return false
      const row = (await lockJobRows(tx, [id])).get(id)
      if (row === undefined) throw new Error('it was inserted a moment ago')
      const now = new Date()
      const origin = originOf(row, { source, namespace, now })
      enqueue(tx, [jobLetter(row, 'attempts-exhausted', now)], origin)
      return true
    })
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

  return {
    plan,
    bury,
    keep: async (now) => {
      // First: one that cannot be planned does not keep the next ones from being scheduled.
      await schedule()
      await planMissed(now)
    },
  }
}

/** What sees to the Job Scheduler, which Redis may lose. */
function scheduling({ jobs, intervalMs, offsetMs }: DigestOptions): () => Promise<void> {
  let isScheduled = false
  return () =>
    jobs.ask(async (queue) => {
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
