import { addressedTo, messageDiscardV1, newId, outgoing } from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import { type Database, noRow, statement, type Tx } from '@edp/runtime'
import { type AuditEntry, record } from './db/audit.ts'
import { lockLetters } from './db/letters.ts'
import { endRedriveLetters } from './db/redrive-letters.ts'
import { serviceOf, takesLettersBack } from './domain/consumer-names.ts'
import type { Letter, LetterState } from './domain/letter.ts'
import { saveLetters } from './save-letters.ts'
import { originOf } from './send-redrives.ts'

const insertNote = statement(
  'letter_notes_insert',
  noRow,
  'insert into letter_notes (note_id, letter_id, by, text) values ($1, $2, $3, $4)',
)

/** Who does something to a letter, and why. */
export interface Operation {
  readonly letterId: string
  readonly by: string
  readonly why: string
}

/** What came of it. `not-now` names the status that does not allow it. */
export type LetterOperated =
  | { readonly kind: 'done' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not-now'; readonly status: Letter['state']['status'] }
  /** The consumer has given the letter up: it cannot come back. */
  | { readonly kind: 'discarded' }

/**
 * Gives a letter up: its consumer, where there is one, is told to discard the message, so that its key goes on. From then on it is
 * archived, whatever becomes of a redrive that is under way.
 */
export async function archiveLetter(
  { database, namespace }: { database: Pick<Database, 'transaction'>; namespace: string },
  { letterId, by, why }: Operation,
): Promise<LetterOperated> {
  return await database.transaction(async (tx) => {
    const letter = await lockOne(tx, letterId)
    if (!letter) return { kind: 'unknown' }
    const { status } = letter.state
    if (status !== 'open' && status !== 'redriving') return { kind: 'not-now', status }
    if (letter.state.status === 'redriving') {
      endRedriveLetters(tx, [{ redriveId: letter.state.redriveId, letterId, result: 'failed' }])
    }
    const { consumer, messageId } = letter
    if (takesLettersBack(consumer)) {
      const contract = addressedTo(messageDiscardV1, serviceOf(consumer))
      const discard = outgoing(contract, messageId, { consumer, messageId, by, why })
      enqueue(tx, [discard], originOf(letter, { namespace, now: new Date() }))
    }
    await move(tx, letter, { status: 'archived', outcome: null })
    record(tx, [entryOf(letter, { by, why, action: 'letter.archived' })])
    return { kind: 'done' }
  })
}

/** Takes a letter out of the archive, unless its consumer has given it up. The discard may still be on its way. */
export async function restoreLetter(
  database: Pick<Database, 'transaction'>,
  { letterId, by, why }: Operation,
): Promise<LetterOperated> {
  return await database.transaction(async (tx) => {
    const letter = await lockOne(tx, letterId)
    if (!letter) return { kind: 'unknown' }
    const { state } = letter
    if (state.status === 'resolved' && state.outcome === 'discarded') return { kind: 'discarded' }
    if (state.status !== 'archived') return { kind: 'not-now', status: state.status }
    if (state.outcome !== null) return { kind: 'discarded' }
    await move(tx, letter, { status: 'open' })
    record(tx, [entryOf(letter, { by, why, action: 'letter.restored' })])
    return { kind: 'done' }
  })
}

/** Writes a note to a letter. False: there is no such letter. */
export async function addNote(
  database: Pick<Database, 'transaction'>,
  { letterId, by, text }: { letterId: string; by: string; text: string },
): Promise<boolean> {
  return await database.transaction(async (tx) => {
    const letter = await lockOne(tx, letterId)
    if (!letter) return false
    void tx.execute(insertNote, [newId(), letterId, by, text])
    return true
  })
}

async function lockOne(tx: Tx, letterId: string): Promise<Letter | undefined> {
  const [letter] = await lockLetters(tx, [letterId])
  return letter
}

async function move(tx: Tx, before: Letter, state: LetterState): Promise<void> {
  await saveLetters(tx, [{ before, after: { ...before, state } }])
}

/** A record of what is done to a letter, with the status that it had. */
export function entryOf(
  { letterId, failure, state }: Letter,
  entry: Pick<AuditEntry, 'by' | 'why' | 'action' | 'after'> & { readonly before?: object },
): AuditEntry {
  const before = { status: state.status, ...entry.before }
  return { ...entry, letterId, groupId: failure.groupId, before }
}
