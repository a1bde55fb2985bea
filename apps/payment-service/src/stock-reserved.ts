import {
  outgoing,
  type PaymentCapturedV1,
  type PaymentDeclinedV1,
  paymentCapturedV1,
  paymentDeclinedV1,
  type StockReservedV1,
} from '@edp/event-schemas'
import type { Decision, MessageHandler } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep, judgeDo, settle } from '@edp/saga/participant'
import { causeOf } from './cause.ts'
import { chargeStep, claimedStep } from './charge-step.ts'
import { cancelledCode, request } from './domain/payment.ts'
import type { PaymentRows } from './rows.ts'

/**
 * The stock is set aside, so the customer is to be charged: first only written down, the gateway is called after the
 * commit. The same order again gets the same answer once there is one.
 */
export const stockReserved: MessageHandler<StockReservedV1, PaymentRows> = {
  // Not the payment: it does not exist yet, and a lookup for each order would find nothing.
  keys: ({ body }) => ({ steps: [formatStep(chargeStep(body.orderId, 'do'))] }),

  decide: ({ envelope, body }, rows) => {
    const { orderId, payment } = body
    const step = chargeStep(orderId, 'do')
    const verdict = judgeDo(claimedStep(rows.steps, step))
    switch (verdict.kind) {
      case 'act':
        return {
          changed: {
            steps: [settle(step, 'started')],
            payments: [request({ orderId, ...payment, cause: causeOf(envelope) })],
          },
        }
      case 'pending':
        return {}
      case 'answer':
        return verdict.outcome === 'ok'
          ? captured(paymentCapturedV1.body.parse(verdict.reply))
          : // A tombstone has no reply: the order was given up before it got here. The order takes no notice of this
            // decline, since it is not pending any more, but who asked is answered.
            declined(
              paymentDeclinedV1.body.parse(verdict.reply ?? { orderId, code: cancelledCode }),
            )
      default:
        return unreachable(verdict)
    }
  },
}

function captured(body: PaymentCapturedV1): Decision<PaymentRows> {
  return { messages: [outgoing(paymentCapturedV1, body.orderId, body)] }
}

function declined(body: PaymentDeclinedV1): Decision<PaymentRows> {
  return { messages: [outgoing(paymentDeclinedV1, body.orderId, body)] }
}
