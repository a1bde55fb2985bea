import type { Tx } from '@edp/runtime'
import { changeGroups } from './db/letter-groups.ts'
import { insertLetters, updateLetters } from './db/letters.ts'
import type { Content } from './domain/fact.ts'
import { groupChanges, type LetterChange } from './domain/group-changes.ts'

/** A letter that is written; a new one with its content. */
export interface SavedLetter extends LetterChange {
  readonly content?: Content
}

/**
 * Writes letters, which are locked, and then the counts of their groups: the only way in which either is changed, so that the counts
 * are right.
 * @throws AppError `transient-everything` when a new letter exists meanwhile
 */
export async function saveLetters(tx: Tx, changes: readonly SavedLetter[]): Promise<void> {
  const inserted = insertLetters(
    tx,
    changes.flatMap(({ before, after, content }) =>
      before === undefined && content ? [{ letter: after, content }] : [],
    ),
  )
  updateLetters(
    tx,
    changes.flatMap(({ before, after }) => (before ? [after] : [])),
  )
  changeGroups(tx, groupChanges(changes))
  await inserted
}
