import type { RowStore } from '@edp/messaging'
import { claimSteps, formatStep, type LedgerRow, parseStep, saveSteps } from '@edp/saga/participant'
import { lockPayments, savePayments } from './db/payments.ts'
import type { Payment } from './domain/payment.ts'

/** The rows that messages need in memory, in the order in which they are locked. */
export type PaymentRows = {
  /** By `orderId/step/direction`. */
  steps: LedgerRow
  /** By order id. */
  payments: Payment
}

/** How the rows of a batch are locked and written. */
export function paymentRows(options: { claimLeaseMs: number }): RowStore<PaymentRows> {
  return {
    keyOf: {
      steps: formatStep,
      payments: (payment) => payment.orderId,
    },

    // One round trip: the statements go out together and the server runs them in this order.
    async load(tx, keys) {
      const [steps, payments] = await Promise.all([
        claimSteps(tx, keys.steps.map(parseStep)),
        lockPayments(tx, keys.payments),
      ])
      return { steps, payments }
    },

    async save(tx, changed) {
      // A step that was begun by this batch was inserted as such when it was claimed.
      await saveSteps(
        tx,
        changed.steps.filter((step) => step.outcome !== 'started'),
      )
      savePayments(tx, changed.payments, options)
    },
  }
}
