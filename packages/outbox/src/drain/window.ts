import { AppError } from '@edp/runtime'
import type { OutboxRow, PublishOutcome } from '../publisher.ts'

/** A row as it was fetched. */
export interface FetchedRow extends OutboxRow {
  readonly bytes: number
}

/** Bounds of what is published at once. */
export interface WindowBounds {
  readonly rowsMax: number
  readonly bytesMax: number
  /** For a broker that confirms in any order: what fails could otherwise be overtaken within the window. */
  readonly oneRowOfAKey: boolean
  /** Whether rows to this destination overtake the others; default none does. */
  readonly isExpress?: (destination: string) => boolean
}

// Of five rows in a window while both classes wait, four are express and one is standard, which is the second: neither waits for the
// other's backlog.
const expressInARow = 4

/**
 * Takes the next window out of the buffered rows. Both keep their order, express rows and the others each by themselves; at least
 * one row of each class is taken, however large. With `oneRowOfAKey` the later rows of a key stay behind.
 */
export function takeWindow(
  buffered: readonly FetchedRow[],
  bounds: WindowBounds,
): { window: FetchedRow[]; rest: FetchedRow[] } {
  const { rows, classes } = inTurns(buffered, bounds.isExpress)
  const window: FetchedRow[] = []
  const rest: FetchedRow[] = []
  const keys = new Set<string>()
  let bytes = 0
  let index = 0
  for (; index < rows.length; index += 1) {
    const row = rows[index]
    if (!row) break
    if (window.length === bounds.rowsMax) break
    if (window.length >= classes && bytes + row.bytes > bounds.bytesMax) break
    if (bounds.oneRowOfAKey && keys.has(row.key)) {
      rest.push(row)
      continue
    }
    if (bounds.oneRowOfAKey) keys.add(row.key)
    window.push(row)
    bytes += row.bytes
  }
  return { window, rest: rest.length === 0 ? rows.slice(index) : [...rest, ...rows.slice(index)] }
}

/** The rows in the order in which they are taken, and how many classes of them there are. */
function inTurns(
  rows: readonly FetchedRow[],
  isExpress: WindowBounds['isExpress'],
): { rows: readonly FetchedRow[]; classes: number } {
  const express = isExpress ? rows.filter((row) => isExpress(row.destination)) : []
  if (express.length === 0 || express.length === rows.length) return { rows, classes: 1 }
  const standard = rows.filter((row) => !isExpress?.(row.destination))
  const mixed: FetchedRow[] = []
  let taken = 0
  for (const [index, row] of express.entries()) {
    mixed.push(row)
    const next = standard[taken]
    if (index % expressInARow !== 0 || next === undefined) continue
    mixed.push(next)
    taken += 1
  }
  return { rows: [...mixed, ...standard.slice(taken)], classes: 2 }
}

/** What became of a window. */
export interface Judgement {
  /** May be deleted. */
  readonly delivered: readonly FetchedRow[]
  /** Can never be published: the first of their keys that failed. */
  readonly dead: readonly DeadRow[]
  /** Are published again. */
  readonly undelivered: readonly FetchedRow[]
  /** The first failure of each destination that had one. */
  readonly failures: ReadonlyMap<string, AppError>
}

/** A row that its broker refused for good. */
export interface DeadRow {
  readonly row: FetchedRow
  readonly error: AppError
}

/**
 * Splits a window by what the broker said of it. Of each key the acknowledged rows before its first failure are delivered; an
 * acknowledged row behind a failure is not, since it has to come again after the one that failed. What is said of rows behind a
 * failure says nothing of their destination: they were held back.
 */
export function judge(window: readonly FetchedRow[], outcome: PublishOutcome): Judgement {
  const failures = new Map<string, AppError>()
  if (outcome.length === window.length && outcome.every((error) => error === undefined)) {
    return { delivered: window, dead: [], undelivered: [], failures }
  }
  const delivered: FetchedRow[] = []
  const dead: DeadRow[] = []
  const undelivered: FetchedRow[] = []
  const failedKeys = new Set<string>()
  for (const [index, row] of window.entries()) {
    const error = index < outcome.length ? outcome[index] : unanswered()
    const key = `${row.destination}\n${row.key}`
    if (failedKeys.has(key)) {
      undelivered.push(row)
    } else if (error === undefined) {
      delivered.push(row)
    } else {
      failedKeys.add(key)
      if (error.retry === 'permanent') {
        dead.push({ row, error })
        continue
      }
      undelivered.push(row)
      if (!failures.has(row.destination)) failures.set(row.destination, error)
    }
  }
  return { delivered, dead, undelivered, failures }
}

function unanswered(): AppError {
  return new AppError('publish-unanswered', 'the publisher gave no answer for this row', {
    retry: 'transient-everything',
  })
}
