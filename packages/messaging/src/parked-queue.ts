import type { DeadLetterReason } from '@edp/event-schemas'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Failure } from './failure.ts'
import type { IncomingMessage } from './incoming-message.ts'
import type { RetryPolicy } from './retry-policy.ts'

/** A parked message whose time has come, locked. */
export interface DueMessage {
  readonly consumer: string
  readonly messageId: string
  readonly key: string
  readonly incoming: IncomingMessage
  readonly status: 'retrying' | 'waiting'
  readonly attempts: number
  /** Null when it was never tried. */
  readonly firstFailedAt: Date | null
  /** A dead letter has told of it. */
  readonly isDeadLettered: boolean
  readonly redriveId: string | null
}

const listRow = z.object({ message_id: z.string(), reason: z.string().nullable() })

/** A parked message whose time has come. */
export interface ListedMessage {
  readonly messageId: string
  /** What it failed with, the last time. */
  readonly reason: string | null
}

// What waits is looked at too: it may be first by now, and under `skip` it is only left from another policy.
const listDue = statement(
  'parked_list_due',
  listRow,
  `select message_id, reason from parked_message
   where consumer = $1 and status <> 'dead' and next_attempt_at <= now()
   order by next_attempt_at limit $2`,
)

// From key to key, so that what waits behind a dead message costs nothing.
const listDueHeads = statement(
  'parked_list_due_heads',
  listRow,
  `with recursive head as (
     (select key, id from parked_message where consumer = $1 order by key, id limit 1)
     union all
     select n.key, n.id from head h cross join lateral (
       select key, id from parked_message where consumer = $1 and key > h.key order by key, id limit 1
     ) n
   )
   select p.message_id, p.reason from head h
   join parked_message p on p.consumer = $1 and p.key = h.key and p.id = h.id
   where p.status <> 'dead' and p.next_attempt_at <= now()
   order by p.next_attempt_at limit $2`,
)

const dueRow = z.object({
  key: z.string(),
  transport: z.enum(['kafka', 'rabbitmq']),
  position: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.instanceof(Uint8Array),
  status: z.enum(['retrying', 'waiting']),
  attempts: z.number(),
  first_failed_at: z.date().nullable(),
  is_dead_lettered: z.boolean(),
  redrive_id: z.string().nullable(),
})

// Checked again under the lock: another process may have had it meanwhile. Not whether it is still the first of its key: ids only
// grow, and who parks a message has waited for the claims of the earlier ones of its key, so a lower id was committed before.
const take = statement(
  'parked_take',
  dueRow,
  `select p.key, p.transport, p.position, p.headers, p.body, p.status, p.attempts, p.first_failed_at,
     p.dead_lettered_at is not null as is_dead_lettered, p.redrive_id
   from parked_message p
   where p.consumer = $1 and p.message_id = $2 and p.status <> 'dead' and p.next_attempt_at <= now()
   for update of p skip locked`,
)

/** The parked messages of a consumer whose time has come: the longest due first, and of a key that is held only the first. */
export async function listDueMessages(
  tx: Tx,
  consumer: { readonly name: string; readonly retry: RetryPolicy },
  limit: number,
): Promise<ListedMessage[]> {
  const list = consumer.retry.order === 'skip' ? listDue : listDueHeads
  const rows = await tx.run(list, [consumer.name, limit])
  return rows.map(({ message_id: messageId, reason }) => ({ messageId, reason }))
}

/** Locks a message that was listed; undefined when somebody else has it or its time has not come any more. */
export async function takeDueMessage(
  tx: Tx,
  consumer: { readonly name: string },
  messageId: string,
): Promise<DueMessage | undefined> {
  const [row] = await tx.run(take, [consumer.name, messageId])
  if (row === undefined) return undefined
  const { transport, position, headers, body } = row
  // One that nothing orders is parked by its id.
  const key = row.key === messageId ? null : Buffer.from(row.key)
  return {
    consumer: consumer.name,
    messageId,
    key: row.key,
    incoming: { transport, position, headers, body, key },
    status: row.status,
    attempts: row.attempts,
    firstFailedAt: row.first_failed_at,
    isDeadLettered: row.is_dead_lettered,
    redriveId: row.redrive_id,
  }
}

const remove = statement(
  'parked_delete',
  noRow,
  'delete from parked_message where consumer = $1 and message_id = $2',
)

/** Ends a parked message, in the transaction of its effect. */
export function removeParked(
  tx: Tx,
  { consumer, messageId }: Pick<DueMessage, 'consumer' | 'messageId'>,
): void {
  void tx.execute(remove, [consumer, messageId])
}

// Only if it is as it was when it failed: a redrive meanwhile has begun anew.
const fail = statement(
  'parked_fail',
  noRow,
  `update parked_message set status = $5, attempts = $6, next_attempt_at = now() + $7 * interval '1 millisecond',
     reason = $8, error_code = $9, error_message = $10, error_stack = $11,
     first_failed_at = coalesce(first_failed_at, $12), last_failed_at = $12,
     dead_lettered_at = case when $5 = 'dead' then coalesce(dead_lettered_at, $12) else dead_lettered_at end
   where consumer = $1 and message_id = $2 and attempts = $3 and redrive_id is not distinct from $4 and status <> 'dead'`,
)

/** What a parked message becomes after a failure. */
export interface Fall {
  readonly status: 'retrying' | 'dead'
  readonly attempts: number
  readonly delayMs: number
  readonly reason: DeadLetterReason
  readonly failure: Pick<Failure, 'code' | 'message' | 'stack'>
  readonly failedAt: Date
}

/** Writes down that a parked message has failed; false when it has changed meanwhile and nothing was written. */
export async function failParked(tx: Tx, due: DueMessage, fall: Fall): Promise<boolean> {
  const { code, message, stack } = fall.failure
  const updated = await tx.execute(fail, [
    due.consumer,
    due.messageId,
    due.attempts,
    due.redriveId,
    fall.status,
    fall.attempts,
    fall.delayMs,
    fall.reason,
    code,
    message,
    stack,
    fall.failedAt,
  ])
  return updated > 0
}

const postpone = statement(
  'parked_postpone',
  noRow,
  `update parked_message set next_attempt_at = now() + $3 * interval '1 millisecond'
   where consumer = $1 and message_id = $2 and status <> 'dead'`,
)

/** Tries a message later, without an attempt: the others get their turn. */
export function postponeParked(tx: Tx, due: DueMessage, delayMs: number): void {
  void tx.execute(postpone, [due.consumer, due.messageId, delayMs])
}
