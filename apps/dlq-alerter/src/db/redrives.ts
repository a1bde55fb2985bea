import { redriveServices } from '@edp/event-schemas'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { LetterCounts, Redrive } from '../domain/redrive.ts'

const redriveRow = z.object({
  redrive_id: z.string(),
  by: z.string(),
  rate_per_second: z.int(),
  canary: z.int(),
  canary_state: z.enum(['none', 'pending', 'passed', 'failed', 'overridden']),
  state: z.enum(['running', 'paused', 'done', 'cancelled']),
})
const columns = 'r.redrive_id, r.by, r.rate_per_second, r.canary, r.canary_state, r.state'

const insert = statement(
  'redrives_insert',
  noRow,
  `insert into redrives (redrive_id, selection, by, why, rate_per_second, canary, canary_state, state)
   values ($1, $2::json, $3, $4, $5, $6, $7, $8)`,
)

// What a selection leaves out says nothing. Only open letters, each of a service that takes it back.
const matches = `l.status = 'open'
     and ($2::uuid[] is null or l.letter_id = any($2)) and ($3::uuid is null or l.group_id = $3)
     and ($4::text is null or l.consumer = $4) and ($5::text is null or l.type = $5)
     and ($6::text is null or l.reason = $6)`

const selectLetters = statement(
  'redrive_letters_select',
  noRow,
  `insert into redrive_letters (redrive_id, letter_id, state)
   select $1, l.letter_id, 'pending' from letters l
   where ${matches} and split_part(l.consumer, '.', 1) = any($7::text[])
   limit $8`,
)

const countRefused = statement(
  'redrive_letters_refused',
  z.object({ consumer: z.string(), letters: z.int() }),
  `select l.consumer, count(*)::integer as letters from letters l
   where $1::uuid is not null and ${matches} and not split_part(l.consumer, '.', 1) = any($7::text[])
   group by l.consumer order by l.consumer`,
)

const lock = statement(
  'redrives_lock',
  redriveRow,
  `select ${columns} from redrives r where r.redrive_id = $1 for update`,
)

// Two processes of the service work on two redrives, never on one.
const lockDue = statement(
  'redrives_lock_due',
  redriveRow,
  `select ${columns} from redrives r
   where r.state = 'running' and r.next_send_at <= now()
   order by r.next_send_at
   limit 1
   for update skip locked`,
)

// Counted to a limit: whether there is one is all that most decisions need.
const count = statement(
  'redrive_letters_count',
  z.object({ pending: z.int(), sent: z.int(), resolved: z.int(), failed: z.int() }),
  `select
     (select count(*)::integer from (select from redrive_letters
       where redrive_id = $1 and state = 'pending' limit $2) s) as pending,
     (select count(*)::integer from (select from redrive_letters
       where redrive_id = $1 and state = 'sent' limit $2) s) as sent,
     (select count(*)::integer from (select from redrive_letters
       where redrive_id = $1 and state = 'resolved' limit $2) s) as resolved,
     (select count(*)::integer from (select from redrive_letters
       where redrive_id = $1 and state = 'failed' limit $2) s) as failed`,
)

// The average stays the rate also when a round was late, by up to a second.
const save = statement(
  'redrives_save',
  noRow,
  `update redrives r set state = $2, canary_state = $3,
     next_send_at = greatest(r.next_send_at, now() - interval '1 second') + $4 * interval '1 millisecond',
     ended_at = case when $2 in ('done', 'cancelled') then now() end
   where r.redrive_id = $1`,
)

/** Which open letters. What is not given does not matter. */
export interface Selection {
  readonly letters?: readonly string[] | undefined
  readonly group?: string | undefined
  readonly consumer?: string | undefined
  readonly type?: string | undefined
  readonly reason?: string | undefined
}

/** A redrive that begins. */
export interface NewRedrive extends Redrive {
  readonly selection: Selection
  readonly why: string
}

/** Writes a new redrive; the commit awaits the answer. */
export function insertRedrive(tx: Tx, redrive: NewRedrive): void {
  void tx.execute(insert, [
    redrive.redriveId,
    JSON.stringify(redrive.selection),
    redrive.by,
    redrive.why,
    redrive.ratePerSecond,
    redrive.canary,
    redrive.canaryState,
    redrive.state,
  ])
}

/** Makes the open letters of a selection the letters of a redrive, at most `limit`: how many. */
export function selectLettersFor(
  tx: Tx,
  { redriveId, selection }: NewRedrive,
  limit: number,
): Promise<number> {
  return tx.execute(selectLetters, [...selectionValues(redriveId, selection), limit])
}

/** How many open letters of a selection nobody takes back, by consumer. */
export async function refusedLetters(
  tx: Tx,
  { redriveId, selection }: NewRedrive,
): Promise<{ consumer: string; letters: number }[]> {
  return await tx.run(countRefused, selectionValues(redriveId, selection))
}

function selectionValues(redriveId: string, selection: Selection): unknown[] {
  const { letters = null, group = null, consumer = null, type = null, reason = null } = selection
  return [redriveId, letters, group, consumer, type, reason, redriveServices]
}

/** Locks a redrive. */
export async function lockRedrive(tx: Tx, redriveId: string): Promise<Redrive | undefined> {
  const [row] = await tx.run(lock, [redriveId])
  return row && redriveOf(row)
}

/** Locks one running redrive that may send, and that nobody else works on. */
export async function lockDueRedrive(tx: Tx): Promise<Redrive | undefined> {
  const [row] = await tx.run(lockDue)
  return row && redriveOf(row)
}

/** How the letters of a redrive stand, each number at most one more than its canary. */
export async function countLetters(tx: Tx, redrive: Redrive): Promise<LetterCounts> {
  const [row] = await tx.run(count, [redrive.redriveId, redrive.canary + 1])
  if (!row) throw new Error('a count gave no row')
  return row
}

/** Writes how a locked redrive stands and when it may send again, by the database's clock; the commit awaits the answer. */
export function saveRedrive(tx: Tx, redrive: Redrive, nextInMs: number): void {
  const { redriveId, state, canaryState } = redrive
  void tx.execute(save, [redriveId, state, canaryState, nextInMs])
}

function redriveOf(row: z.infer<typeof redriveRow>): Redrive {
  return {
    redriveId: row.redrive_id,
    by: row.by,
    ratePerSecond: row.rate_per_second,
    canary: row.canary,
    canaryState: row.canary_state,
    state: row.state,
  }
}
