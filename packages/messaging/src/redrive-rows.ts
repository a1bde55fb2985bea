import { claim } from '@edp/idempotency'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { AllKeys, RowStore } from './handler.ts'
import { type InboxWindow, placeOf } from './inbox-id.ts'
import { insertParked, type NewParked } from './parked-rows.ts'
import { removeParked } from './parked-queue.ts'

/** A dead letter by its identity. */
export interface LetterId {
  readonly consumer: string
  readonly messageId: string
}

/** What a redrive or a discard makes of a parked message. */
export interface LetterRow extends LetterId {
  readonly state: 'parked' | 'gone'
  readonly redriveId: string | null
  /** A corrected body, when there is one. */
  readonly body: Uint8Array | null
  /** A message that comes from its letter, since its consumer had it no more. */
  readonly made: NewParked | null
}

/** Whether a message that comes from its letter is new to its consumer. */
export interface ClaimRow extends LetterId {
  readonly outcome: 'claimed' | 'taken' | 'too-old'
}

/** Work of a service that is no message, and that a dead letter stands for. */
export interface DueRow extends LetterId {
  readonly state: 'failed' | 'retried' | 'discarded'
  readonly redriveId: string | null
}

export interface RedriveTables {
  claims: ClaimRow
  letters: LetterRow
  due: DueRow
}

/**
 * Work that a service owes to somebody outside: it failed for good, its dead letter was enqueued in the transaction that says so,
 * and it is tried again in its own way.
 */
export interface DueWork {
  /** The consumer of its letters: `payment-service.due-work`. */
  readonly consumer: string
  /** Locks the work that letters stand for, sorted; gives the letters whose work still waits. */
  lock(tx: Tx, messageIds: readonly string[]): Promise<ReadonlySet<string>>
  /** Makes work due again that is locked. Its letter is resolved in the transaction in which it succeeds. */
  retry(tx: Tx, letters: readonly { messageId: string; redriveId: string }[]): Promise<void>
  /** Nobody waits for the letters of these any more; the work itself goes on as it can. */
  discard(tx: Tx, messageIds: readonly string[]): Promise<void>
  /** Told after the commit that work is due. It must not throw. */
  afterCommit(): void
}

const separator = ' '

/** The key of a letter's rows. The id as Postgres spells it. */
export function letterKey({ consumer, messageId }: LetterId): string {
  return consumer + separator + messageId.toLowerCase()
}

function parseLetterKey(key: string): LetterId {
  const at = key.indexOf(separator)
  return { consumer: key.slice(0, at), messageId: key.slice(at + 1) }
}

/** How the rows of redrives are locked and written: the inbox first, as everywhere. */
export function redriveRows(options: {
  dueWork: ReadonlyMap<string, DueWork>
  window: () => InboxWindow
}): RowStore<RedriveTables> {
  const { dueWork, window } = options
  return {
    keyOf: { claims: letterKey, letters: letterKey, due: letterKey },
    load: async (tx, keys) => ({
      claims: await claimLetters(tx, keys.claims.map(parseLetterKey), window()),
      letters: await lockLetters(tx, keys.letters.map(parseLetterKey)),
      due: await lockDue(tx, keys, dueWork),
    }),
    save: async (tx, { letters, due }) => {
      saveLetters(tx, letters)
      await saveDue(tx, due, dueWork)
    },
  }
}

async function claimLetters(
  tx: Tx,
  letters: readonly LetterId[],
  window: InboxWindow,
): Promise<Map<string, ClaimRow>> {
  const claims = new Map<string, ClaimRow>()
  for (const [consumer, messageIds] of byConsumer(letters)) {
    const inside = messageIds.filter((id) => placeOf(id, window) === 'inside')
    const claimed = await claim(tx, consumer, inside)
    for (const messageId of messageIds) {
      const known = inside.includes(messageId)
      const outcome = known ? (claimed.has(messageId) ? 'claimed' : 'taken') : 'too-old'
      claims.set(letterKey({ consumer, messageId }), { consumer, messageId, outcome })
    }
  }
  return claims
}

const lock = statement(
  'parked_lock',
  z.object({ consumer: z.string(), message_id: z.string() }),
  `select p.consumer, p.message_id
   from unnest($1::text[], $2::uuid[]) as k (consumer, message_id)
   join parked_message p on p.consumer = k.consumer and p.message_id = k.message_id
   order by p.consumer, p.message_id
   for update of p`,
)

async function lockLetters(tx: Tx, letters: readonly LetterId[]): Promise<Map<string, LetterRow>> {
  if (letters.length === 0) return new Map()
  const rows = await tx.run(lock, [
    letters.map(({ consumer }) => consumer),
    letters.map(({ messageId }) => messageId),
  ])
  return new Map(
    rows.map(({ consumer, message_id: messageId }) => {
      const row = { consumer, messageId, state: 'parked', redriveId: null, body: null, made: null }
      return [letterKey(row), { ...row, state: 'parked' }]
    }),
  )
}

async function lockDue(
  tx: Tx,
  keys: AllKeys<RedriveTables>,
  dueWork: ReadonlyMap<string, DueWork>,
): Promise<Map<string, DueRow>> {
  const rows = new Map<string, DueRow>()
  for (const [consumer, messageIds] of byConsumer(keys.due.map(parseLetterKey))) {
    const waiting = await dueWork.get(consumer)?.lock(tx, messageIds)
    for (const messageId of waiting ?? []) {
      const row = { consumer, messageId, state: 'failed', redriveId: null } as const
      rows.set(letterKey(row), row)
    }
  }
  return rows
}

// In its old place: the id, and so the order of its key, stays.
const redrive = statement(
  'parked_redrive',
  noRow,
  `update parked_message p set status = 'retrying', attempts = 0, next_attempt_at = now(), redrive_id = r.redrive_id,
     body = coalesce(r.body, p.body)
   from unnest($1::text[], $2::uuid[], $3::uuid[], $4::bytea[]) as r (consumer, message_id, redrive_id, body)
   where p.consumer = r.consumer and p.message_id = r.message_id`,
)

function saveLetters(tx: Tx, letters: readonly LetterRow[]): void {
  const made: NewParked[] = []
  const redriven: LetterRow[] = []
  for (const letter of letters) {
    if (letter.state === 'gone') removeParked(tx, letter)
    else if (letter.made) made.push(letter.made)
    else redriven.push(letter)
  }
  if (made.length > 0) insertParked(tx, made)
  if (redriven.length === 0) return
  void tx.execute(redrive, [
    redriven.map(({ consumer }) => consumer),
    redriven.map(({ messageId }) => messageId),
    redriven.map(({ redriveId }) => redriveId),
    redriven.map(({ body }) => body),
  ])
}

async function saveDue(
  tx: Tx,
  rows: readonly DueRow[],
  dueWork: ReadonlyMap<string, DueWork>,
): Promise<void> {
  for (const [consumer, work] of dueWork) {
    const own = rows.filter((row) => row.consumer === consumer)
    const retried = own.flatMap(({ state, messageId, redriveId }) =>
      state === 'retried' && redriveId !== null ? [{ messageId, redriveId }] : [],
    )
    const discarded = own.filter(({ state }) => state === 'discarded')
    if (retried.length > 0) await work.retry(tx, retried)
    if (discarded.length > 0) {
      await work.discard(
        tx,
        discarded.map(({ messageId }) => messageId),
      )
    }
  }
}

function byConsumer(letters: readonly LetterId[]): Map<string, string[]> {
  const grouped = new Map<string, string[]>()
  for (const { consumer, messageId } of letters) {
    const ids = grouped.get(consumer)
    if (ids) ids.push(messageId)
    else grouped.set(consumer, [messageId])
  }
  return grouped
}
