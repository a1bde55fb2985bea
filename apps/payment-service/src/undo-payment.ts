import {
  type Outgoing,
  outgoing,
  type PaymentRefundedV1,
  paymentRefundedV1,
} from '@edp/event-schemas'
import type { Changed, Rows } from '@edp/messaging'
import { AppError, unreachable } from '@edp/runtime'
import { formatStep, judgeUndo, settle } from '@edp/saga/participant'
import { chargeStep, claimedStep } from './charge-step.ts'
import { beginUndo, type Cause } from './domain/payment.ts'
import type { PaymentRows } from './rows.ts'

/** What becomes of an undo that is asked for. */
export type Undoing =
  /** Written down; the gateway is called after the commit, and who asked is answered when it has answered. */
  | { readonly kind: 'begun'; readonly changed: Changed<PaymentRows> }
  /** Asked for before and not answered yet. */
  | { readonly kind: 'pending' }
  /** Over: just now, since nothing had been charged, or before. */
  | {
      readonly kind: 'undone'
      readonly body: PaymentRefundedV1
      readonly changed?: Changed<PaymentRows>
    }

/**
 * Has the money of an order given back, once, whoever asks and how often. An order that has not got here yet is refused when
 * it does. Needs the undo of the step and the payment.
 */
export function undoPayment(
  order: { readonly orderId: string; readonly currency: string },
  cause: Cause,
  rows: Rows<PaymentRows>,
): Undoing {
  const { orderId, currency } = order
  const done = claimedStep(rows.steps, chargeStep(orderId, 'do'))
  const undo = chargeStep(orderId, 'undo')
  const verdict = judgeUndo(done, rows.steps.get(formatStep(undo)))
  switch (verdict.kind) {
    case 'act':
      return begin(orderId, cause, rows)
    case 'nothing': {
      const body: PaymentRefundedV1 = { orderId, amountMinor: 0, currency }
      // A decline keeps its own answer; whatever comes after a tombstone is refused.
      const tombstone = done.outcome === 'refused' ? [] : [settle(done, 'tombstone')]
      const changed = { steps: [...tombstone, settle(undo, 'ok', body)] }
      return { kind: 'undone', body, changed }
    }
    case 'answer':
      return { kind: 'undone', body: paymentRefundedV1.body.parse(verdict.reply) }
    default:
      return unreachable(verdict)
  }
}

/** What everybody is told of it. */
export function undoFact(body: PaymentRefundedV1): Outgoing {
  return outgoing(paymentRefundedV1, body.orderId, body)
}

function begin(orderId: string, cause: Cause, rows: Rows<PaymentRows>): Undoing {
  const payment = rows.payments.get(orderId)
  if (!payment) throw broken(`${orderId} was charged and has no payment`)
  const undo = beginUndo(payment, cause)
  switch (undo.kind) {
    case 'begin':
      return { kind: 'begun', changed: { payments: [undo.payment] } }
    case 'pending':
      return { kind: 'pending' }
    case 'over':
      throw broken(`the payment of ${orderId} is ${payment.status} and its undo is not recorded`)
    default:
      return unreachable(undo)
  }
}

// Payment and ledger are written together, so no order of messages leads here.
function broken(detail: string): AppError {
  return new AppError('broken-payment', detail, { retry: 'permanent' })
}
