import type { Direction } from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { formatStep, type LedgerRow, type StepKey } from '@edp/saga/participant'

/** The step of the saga that this service takes part in. The saga's id is the order's, in both styles. */
export function reserveStep(orderId: string, direction: Direction): StepKey {
  return { sagaId: orderId, step: 'reserve', direction }
}

/**
 * The row of a step that was claimed.
 * @throws AppError `permanent` when the message did not name it in its keys
 */
export function claimedStep(steps: ReadonlyMap<string, LedgerRow>, key: StepKey): LedgerRow {
  const row = steps.get(formatStep(key))
  if (row) return row
  throw new AppError('step-not-claimed', `${formatStep(key)} was not claimed`, {
    retry: 'permanent',
  })
}

/** A step that somebody began and did not end, which this service never commits. */
export function neverSettled(key: StepKey): AppError {
  return new AppError('step-never-settled', `${formatStep(key)} was begun and not settled`, {
    retry: 'permanent',
  })
}
