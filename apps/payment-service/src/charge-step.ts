import type { Direction } from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { formatStep, type LedgerRow, type StepKey } from '@edp/saga/participant'

/** The step of the saga that this service takes part in. The saga's id is the order's, in both styles. */
export function chargeStep(orderId: string, direction: Direction): StepKey {
  return { sagaId: orderId, step: 'charge', direction }
}

/** One key for all calls about an order: charges are repeated under it, and a void closes it. */
export function gatewayKey(orderId: string): string {
  return formatStep(chargeStep(orderId, 'do'))
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
