import type { OrderCancellingV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep } from '@edp/saga/participant'
import { causeOf } from './cause.ts'
import { chargeStep } from './charge-step.ts'
import type { PaymentRows } from './rows.ts'
import { undoFact, undoPayment } from './undo-payment.ts'

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
    const undoing = undoPayment(body, causeOf(envelope), rows)
    switch (undoing.kind) {
      case 'begun':
        return { changed: undoing.changed }
      case 'pending':
        return {}
      case 'undone': {
        const { changed } = undoing
        return { ...(changed && { changed }), messages: [undoFact(undoing.body)] }
      }
      default:
        return unreachable(undoing)
    }
  },
}
