import type { StockReservedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep } from '@edp/saga/participant'
import { captureFact, capturePayment } from './capture-payment.ts'
import { causeOf } from './cause.ts'
import { chargeStep } from './charge-step.ts'
import type { PaymentRows } from './rows.ts'

/**
 * The stock is set aside, so the customer is to be charged: first only written down, the gateway is called after the
 * commit. The same order again gets the same answer once there is one. Of an order that was given up before it got here the
 * order takes no notice of the decline, since it is not pending any more, but who asked is answered.
 */
export const stockReserved: MessageHandler<StockReservedV1, PaymentRows> = {
  // Not the payment: it does not exist yet, and a lookup for each order would find nothing.
  keys: ({ body }) => ({ steps: [formatStep(chargeStep(body.orderId, 'do'))] }),

  decide: ({ envelope, body: { orderId, payment } }, rows) => {
    const capturing = capturePayment(orderId, { ...payment, cause: causeOf(envelope) }, rows)
    switch (capturing.kind) {
      case 'requested':
        return { changed: capturing.changed }
      case 'pending':
        return {}
      case 'captured':
      case 'declined':
        return { messages: [captureFact(capturing)] }
      default:
        return unreachable(capturing)
    }
  },
}
