import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { LetterStatus } from '../domain/letter.ts'

/** A letter that is to be removed, locked. */
export interface EndedLetter {
  readonly letterId: string
  readonly groupId: string
  readonly status: LetterStatus
}

const lockEnded = statement(
  'letters_lock_ended',
  z.object({
    letter_id: z.string(),
    group_id: z.string(),
    status: z.enum(['resolved', 'archived']),
  }),
  `select letter_id, group_id, status from letters
   where status in ('resolved', 'archived') and updated_at < $1 order by updated_at limit $2 for update skip locked`,
)

/** Locks letters that ended before a time, the oldest first; not those that somebody else is at. */
export async function lockEndedLetters(
  tx: Tx,
  before: Date,
  lettersMax: number,
): Promise<EndedLetter[]> {
  const rows = await tx.run(lockEnded, [before, lettersMax])
  return rows.map((row) => ({ letterId: row.letter_id, groupId: row.group_id, status: row.status }))
}

const idRow = z.object({ id: z.string() })

// Each by an index, since they are many: the ids are made of the time.
const removals = [
  statement('letters_remove', noRow, 'delete from letters where letter_id = any($1::uuid[])'),
  statement(
    'letter_texts_remove',
    noRow,
    'delete from letter_texts where letter_id = any($1::uuid[])',
  ),
  statement(
    'letter_notes_remove',
    noRow,
    'delete from letter_notes where letter_id = any($1::uuid[])',
  ),
]

/** Removes letters that are locked, with what people wrote to them; the commit awaits the answers. */
export function removeLetters(tx: Tx, letters: readonly EndedLetter[]): void {
  const ids = letters.map(({ letterId }) => letterId)
  for (const remove of removals) void tx.execute(remove, [ids])
}

const oldAudit = statement(
  'audit_entries_old',
  idRow,
  'select audit_id as id from audit_entries where audit_id < $1::uuid order by audit_id limit $2',
)
const removeAudit = statement(
  'audit_entries_remove',
  noRow,
  'delete from audit_entries where audit_id = any($1::uuid[])',
)

/** Removes what was recorded before an id was made. @returns how many entries */
export async function removeAuditEntries(tx: Tx, beforeId: string, max: number): Promise<number> {
  const ids = (await tx.run(oldAudit, [beforeId, max])).map(({ id }) => id)
  if (ids.length > 0) void tx.execute(removeAudit, [ids])
  return ids.length
}

const oldRedrives = statement(
  'redrives_old',
  idRow,
  `select redrive_id as id from redrives
   where redrive_id < $1::uuid and state in ('done', 'cancelled') order by redrive_id limit $2 for update skip locked`,
)
const removeRedrive = statement(
  'redrives_remove',
  noRow,
  'delete from redrives where redrive_id = any($1::uuid[])',
)
const removeRedriveLetters = statement(
  'redrive_letters_remove',
  noRow,
  'delete from redrive_letters where redrive_id = any($1::uuid[])',
)

/** Removes redrives that began before an id was made and have ended, with what became of their letters. @returns how many */
export async function removeRedrives(tx: Tx, beforeId: string, max: number): Promise<number> {
  const ids = (await tx.run(oldRedrives, [beforeId, max])).map(({ id }) => id)
  if (ids.length === 0) return 0
  void tx.execute(removeRedriveLetters, [ids])
  void tx.execute(removeRedrive, [ids])
  return ids.length
}

// Nobody's letters: the group comes back with its next letter.
const removeEmpty = statement(
  'letter_groups_remove_empty',
  noRow,
  `delete from letter_groups where last_seen_at < $1 and open + redriving + resolved + archived = 0
     and coalesce(ignored_until, '-infinity') < now()`,
)
const removeEarly = statement(
  'early_resolutions_remove',
  noRow,
  'delete from early_resolutions where fact_at < $1',
)

/** Removes groups without letters, and resolutions whose letters never came. The commit awaits the answers. */
export function removeLeftovers(tx: Tx, before: Date): void {
  void tx.execute(removeEmpty, [before])
  void tx.execute(removeEarly, [before])
}
