import { counter, createLoop, type Database, type Logger, type Loop } from '@edp/runtime'
import { changeGroups } from './db/letter-groups.ts'
import {
  lockEndedLetters,
  removeAuditEntries,
  removeLeftovers,
  removeLetters,
  removeRedrives,
} from './db/retention.ts'
import { removedFromGroups } from './domain/group-changes.ts'

export interface RetentionOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly logger: Logger
  /** How long letters are kept after their end, and records after they were made. */
  readonly retentionDays: number
  readonly now?: () => Date
}

const dayMs = 24 * 60 * 60 * 1000
const intervalMs = 60 * 60 * 1000
/** What shares a transaction: a letter has up to 64 KiB of body. */
const batchMax = 500

const removed = counter(
  'edp_letters_removed_total',
  'Letters removed since they ended long ago',
  [],
)

/**
 * Removes resolved and archived letters, ended redrives, the record of what was done, and what is left over of them, when they are
 * older than `retentionDays`: some hundreds a transaction, so that it holds nobody up. What is open stays, however old. Any
 * number of processes may run it.
 */
export function createRetention(options: RetentionOptions): Loop {
  return createLoop({
    name: 'retention',
    intervalMs,
    logger: options.logger,
    work: async () => ((await removeBatch(options)) ? 'again' : undefined),
  })
}

/** @returns whether there may be more */
async function removeBatch({ database, retentionDays, now }: RetentionOptions): Promise<boolean> {
  const before = new Date((now?.() ?? new Date()).getTime() - retentionDays * dayMs)
  const beforeId = firstIdOf(before)
  return await database.transaction(async (tx) => {
    const letters = await lockEndedLetters(tx, before, batchMax)
    if (letters.length > 0) {
      removeLetters(tx, letters)
      changeGroups(tx, removedFromGroups(letters))
    }
    const redrives = await removeRedrives(tx, beforeId, batchMax)
    const entries = await removeAuditEntries(tx, beforeId, batchMax)
    removeLeftovers(tx, before)
    removed.inc(letters.length)
    return [letters.length, redrives, entries].includes(batchMax)
  })
}

/** The lowest uuid v7 of a moment. */
function firstIdOf(at: Date): string {
  const time = at.getTime().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}
