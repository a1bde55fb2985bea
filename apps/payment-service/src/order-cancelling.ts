import {
  type OrderCancellingV1,
  outgoing,
  type PaymentRefundedV1,
  paymentRefundedV1,
} from '@edp/event-schemas'
import type { Decision, MessageHandler, Rows } from '@edp/messaging'
import { AppError, unreachable } from '@edp/runtime'
import { formatStep, judgeUndo, settle } from '@edp/saga/participant'
import { causeOf } from './cause.ts'
import { chargeStep, claimedStep } from './charge-step.ts'
import { beginUndo, type Cause } from './domain/payment.ts'
import type { PaymentRows } from './rows.ts'

/**
 * The order is given up: its money goes back, first of the undo chain. Always answers: at once where nothing was
 * requested, else when the gateway has voided or refunded. An order that has not got here yet is refused when it does.
 */
export const orderCancelling: MessageHandler<OrderCancellingV1, PaymentRows> = {
  keys: ({ body }) => ({
    steps: [formatStep(chargeStep(body.orderId, 'undo'))],
    payments: [body.orderId],
  }),

  decide: ({ envelope, body }, rows) => {
    const { orderId, currency } = body
    const done = claimedStep(rows.steps, chargeStep(orderId, 'do'))
    const undo = chargeStep(orderId, 'undo')
    const verdict = judgeUndo(done, rows.steps.get(formatStep(undo)))
    switch (verdict.kind) {
      case 'act':
        return undoPayment(orderId, causeOf(envelope), rows)
      case 'nothing': {
        const reply: PaymentRefundedV1 = { orderId, amountMinor: 0, currency }
        // A decline keeps its own answer; whatever comes after a tombstone is refused.
        const tombstone = done.outcome === 'refused' ? [] : [settle(done, 'tombstone')]
        return {
          changed: { steps: [...tombstone, settle(undo, 'ok', reply)] },
          messages: [outgoing(paymentRefundedV1, orderId, reply)],
        }
      }
      case 'answer': {
        const reply = paymentRefundedV1.body.parse(verdict.reply)
        return { messages: [outgoing(paymentRefundedV1, orderId, reply)] }
      }
      default:
        return unreachable(verdict)
    }
  },
}

function undoPayment(
  orderId: string,
  cause: Cause,
  rows: Rows<PaymentRows>,
): Decision<PaymentRows> {
  const payment = rows.payments.get(orderId)
  if (!payment) throw broken(`${orderId} was charged and has no payment`)
  const undo = beginUndo(payment, cause)
  switch (undo.kind) {
    case 'begin':
      return { changed: { payments: [undo.payment] } }
    case 'pending':
      return {}
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
