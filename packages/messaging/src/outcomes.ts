import type { OutboxRow, PublishOutcome } from '@edp/outbox'
import { AppError } from '@edp/runtime'
import { unavailable } from './link.ts'

// A row counts as failed until its broker has said otherwise. Made once: an error for each batch costs more than its send.
const notSent = unavailable(new Error('not sent'))

/** A row with its place in the batch, so that its outcome finds its way back. */
export interface PlacedRow {
  readonly row: OutboxRow
  readonly index: number
}

/**
 * The outcomes of one batch while it is being published. What failed holds back what comes after it: the rows of a key
 * behind the one that failed, every row of a destination, or everything.
 */
export class Outcomes {
  readonly #outcomes: (AppError | undefined)[]
  readonly #failedKeys = new Set<string>()
  readonly #failedDestinations = new Map<string, AppError>()
  #failedBroker: AppError | undefined

  constructor(rows: readonly OutboxRow[]) {
    this.#outcomes = rows.map(() => notSent)
  }

  /** The rows of these that may still be sent; the others get their outcome. */
  sendable(rows: readonly PlacedRow[]): PlacedRow[] {
    return rows.filter(({ row, index }) => {
      const failure = this.#failedBroker ?? this.#failedDestinations.get(row.destination)
      if (failure) this.#outcomes[index] = failure
      else if (this.#failedKeys.size > 0 && this.#failedKeys.has(keyOf(row)))
        this.#outcomes[index] = heldBack(row)
      else return true
      return false
    })
  }

  acknowledge({ index }: PlacedRow): void {
    this.#outcomes[index] = undefined
  }

  /** The row itself is at fault: the later rows of its key wait, whatever becomes of it. */
  failRow({ row, index }: PlacedRow, failure: AppError): void {
    this.#outcomes[index] = failure
    this.#failedKeys.add(keyOf(row))
  }

  failDestination(destination: string, rows: readonly PlacedRow[], failure: AppError): void {
    this.#failedDestinations.set(destination, failure)
    for (const { index } of rows) this.#outcomes[index] = failure
  }

  failBroker(rows: readonly PlacedRow[], failure: AppError): void {
    this.#failedBroker = failure
    for (const { index } of rows) this.#outcomes[index] = failure
  }

  get all(): PublishOutcome {
    return this.#outcomes
  }
}

/** What orders rows: their key, at one destination. */
export function keyOf(row: OutboxRow): string {
  return `${row.destination}\0${row.key}`
}

function heldBack(row: OutboxRow): AppError {
  return new AppError('held-back', `an earlier message of the key ${row.key} was not published`, {
    retry: 'transient-message',
  })
}
