import { storableText } from '@edp/messaging'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { type Content, statuses } from '../domain/notification.ts'
import type { JobRow } from '../domain/sending.ts'

// Written by this service alone, from values of the type.
const content = z.custom<Content>((value) => typeof value === 'object' && value !== null)

const jobRow = z.object({
  id: z.string(),
  order_id: z.string().nullable(),
  recipient: z.string(),
  content,
  status: z.enum(statuses),
  round: z.number(),
  is_queued: z.boolean(),
  due_in_ms: z.number(),
  lease_owner: z.string().nullable(),
  lease_in_ms: z.number().nullable(),
  attempts: z.number(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  first_failed_at: z.date().nullable(),
  last_failed_at: z.date().nullable(),
  is_dead_lettered: z.boolean(),
  redrive_id: z.string().nullable(),
  causation_id: z.string().nullable(),
  coordination: z.enum(['choreographed', 'orchestrated']).nullable(),
  traceparent: z.string().nullable(),
})

// Time is the database's: no process' clock decides what is due, or whose a lease is. It is read after the lock was waited for.
const lock = statement(
  'job_rows_lock',
  jobRow,
  `select n.id, n.order_id, n.recipient, n.content, n.status, n.round, n.queued_at is not null as is_queued,
     (extract(epoch from n.due_at - clock_timestamp()) * 1000)::float8 as due_in_ms, n.lease_owner,
     (extract(epoch from n.lease_until - clock_timestamp()) * 1000)::float8 as lease_in_ms,
     n.attempts, n.error_code, n.error_message, n.first_failed_at, n.last_failed_at, n.is_dead_lettered, n.redrive_id,
     n.causation_id, n.coordination, n.traceparent
   from unnest($1::uuid[]) as k (id)
   join notifications n on n.id = k.id
   order by n.id
   for update of n`,
)

const claim = statement(
  'job_rows_claim',
  noRow,
  `update notifications n
   set lease_owner = k.owner, lease_until = clock_timestamp() + $3 * interval '1 millisecond'
   from unnest($1::uuid[], $2::uuid[]) as k (id, owner)
   where n.id = k.id`,
)

const renew = statement(
  'job_rows_renew',
  noRow,
  `update notifications set lease_until = clock_timestamp() + $3 * interval '1 millisecond'
   where id = $1 and lease_owner = $2`,
)

const save = statement(
  'job_rows_save',
  noRow,
  `update notifications n set
     status = s.status, round = s.round, queued_at = case when s.is_queued then n.queued_at end,
     lease_owner = s.lease_owner, lease_until = case when s.lease_owner is not null then n.lease_until end,
     attempts = s.attempts, error_code = s.error_code, error_message = s.error_message,
     first_failed_at = s.first_failed_at, last_failed_at = s.last_failed_at, is_dead_lettered = s.is_dead_lettered,
     redrive_id = s.redrive_id, smtp_response = coalesce(s.response, n.smtp_response),
     sent_at = case when s.status = 'sent' then coalesce(n.sent_at, clock_timestamp()) end
   from unnest($1::uuid[], $2::text[], $3::integer[], $4::boolean[], $5::integer[], $6::text[], $7::text[],
     $8::timestamptz[], $9::timestamptz[], $10::boolean[], $11::uuid[], $12::text[], $13::uuid[])
     as s (id, status, round, is_queued, attempts, error_code, error_message, first_failed_at, last_failed_at,
       is_dead_lettered, redrive_id, response, lease_owner)
   where n.id = s.id`,
)

/** Locks the rows of jobs, sorted; one that does not exist is left out. */
export async function lockJobRows(tx: Tx, ids: readonly string[]): Promise<Map<string, JobRow>> {
  if (ids.length === 0) return new Map()
  const rows = await tx.run(lock, [[...new Set(ids)]])
  return new Map(rows.map((row) => [row.id, toJobRow(row)]))
}

/** Gives rows that are locked to their owners for `leaseMs`. */
export function claimJobRows(
  tx: Tx,
  claims: readonly { id: string; owner: string }[],
  leaseMs: number,
): void {
  if (claims.length === 0) return
  const ids = claims.map(({ id }) => id)
  void tx.execute(claim, [ids, claims.map(({ owner }) => owner), leaseMs])
}

/** Lengthens a lease. @returns false when it is somebody else's by now */
export async function renewJobRow(
  tx: Tx,
  { id, owner }: { id: string; owner: string },
  leaseMs: number,
): Promise<boolean> {
  return (await tx.execute(renew, [id, owner, leaseMs])) > 0
}

/** Writes rows that are locked; who has a lease no more in the row, has none. `response` is what the SMTP server answered. */
export function saveJobRows(
  tx: Tx,
  rows: readonly { row: JobRow; response: string | null }[],
): void {
  if (rows.length === 0) return
  void tx.execute(save, [
    rows.map(({ row }) => row.id),
    rows.map(({ row }) => row.status),
    rows.map(({ row }) => row.round),
    rows.map(({ row }) => row.isQueued),
    rows.map(({ row }) => row.attempts),
    rows.map(({ row }) => storable(row.error?.code)),
    rows.map(({ row }) => storable(row.error?.message)),
    rows.map(({ row }) => row.firstFailedAt),
    rows.map(({ row }) => row.lastFailedAt),
    rows.map(({ row }) => row.isDeadLettered),
    rows.map(({ row }) => row.redriveId),
    rows.map(({ response }) => storable(response)),
    rows.map(({ row }) => row.leaseOwner),
  ])
}

// What a server answers is anybody's text.
function storable(text: string | null | undefined): string | null {
  return text === null || text === undefined ? null : storableText(text)
}

function toJobRow(row: z.infer<typeof jobRow>): JobRow {
  return {
    id: row.id,
    orderId: row.order_id,
    recipient: row.recipient,
    content: row.content,
    status: row.status,
    round: row.round,
    isQueued: row.is_queued,
    dueInMs: row.due_in_ms,
    leaseOwner: row.lease_owner,
    leaseInMs: row.lease_in_ms,
    attempts: row.attempts,
    error:
      row.error_code === null ? null : { code: row.error_code, message: row.error_message ?? '' },
    firstFailedAt: row.first_failed_at,
    lastFailedAt: row.last_failed_at,
    isDeadLettered: row.is_dead_lettered,
    redriveId: row.redrive_id,
    causationId: row.causation_id,
    coordination: row.coordination,
    traceparent: row.traceparent,
  }
}
