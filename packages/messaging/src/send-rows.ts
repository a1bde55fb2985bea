import type { OutboxRow } from '@edp/outbox'
import { AppError } from '@edp/runtime'
import { unavailable } from './link.ts'
import type { Outcomes, PlacedRow } from './outcomes.ts'

/** A send that did not settle all of its rows. */
export interface SendFailure {
  /** What is at fault: one of the rows, one of the destinations, or the broker. */
  readonly scope: 'row' | 'destination' | 'broker'
  /** The rows of which nothing is known, in their order. */
  readonly unsettled: readonly PlacedRow[]
  readonly error: unknown
}

/** Sends rows together and tells the outcomes what it knows of them; `undefined` when it knows all. */
export type Send = (
  rows: readonly PlacedRow[],
  outcomes: Outcomes,
) => Promise<SendFailure | undefined>

/**
 * Sends rows together; when that fails, finds out which of them are at fault: by destination, or by bisecting, so that
 * neither a missing destination nor a row that is too large stops the others.
 */
export async function sendRows(
  rows: readonly PlacedRow[],
  outcomes: Outcomes,
  send: Send,
): Promise<void> {
  const sendable = outcomes.sendable(rows)
  if (sendable.length === 0) return
  const failure = await send(sendable, outcomes)
  if (failure === undefined) return
  const { scope, unsettled, error } = failure
  const [first] = unsettled
  if (first === undefined) return
  if (scope === 'broker') {
    outcomes.failBroker(unsettled, unavailable(error))
    return
  }
  for (const part of scope === 'row' ? halvesOf(unsettled) : groupsOf(unsettled)) {
    if (part.length < unsettled.length) await sendRows(part, outcomes, send)
    else if (scope === 'row') outcomes.failRow(first, refused(first.row, error))
    else outcomes.failDestination(first.row.destination, part, unavailable(error))
  }
}

function halvesOf(rows: readonly PlacedRow[]): (readonly PlacedRow[])[] {
  const middle = Math.floor(rows.length / 2)
  return middle === 0 ? [rows] : [rows.slice(0, middle), rows.slice(middle)]
}

function groupsOf(rows: readonly PlacedRow[]): PlacedRow[][] {
  return [...Map.groupBy(rows, ({ row }) => row.destination).values()]
}

function refused({ type, messageId, destination }: OutboxRow, cause: unknown): AppError {
  const [code, what] =
    cause instanceof AppError
      ? [cause.code, `cannot be encoded for ${destination}: ${cause.message}`]
      : ['message-too-large', `is too large for ${destination}`]
  return new AppError(code, `${type} ${messageId} ${what}`, { retry: 'permanent', cause })
}
