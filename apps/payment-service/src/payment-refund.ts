import type { PaymentRefundV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { commandOf, formatStep } from '@edp/saga/participant'
import { causeOf } from './cause.ts'
import { chargeStep } from './charge-step.ts'
import { refundReply } from './replies.ts'
import type { PaymentRows } from './rows.ts'
import { undoFact, undoPayment } from './undo-payment.ts'

/**
 * Has the money given back, for the orchestrator. Answered at once where nothing was requested or all is over, else when the
 * gateway has voided or refunded (`record-answers.ts`): `failed` when it does not, and then every further command tries again.
 * A capture that has not got here yet is refused when it does.
 */
export const paymentRefund: MessageHandler<PaymentRefundV1, PaymentRows> = {
  keys: ({ envelope, body }) => {
    const step = chargeStep(body.orderId, 'undo')
    commandOf(envelope, step)
    return { steps: [formatStep(step)], payments: [body.orderId] }
  },

  decide: ({ envelope, body }, rows) => {
    const command = commandOf(envelope, chargeStep(body.orderId, 'undo'))
    const undoing = undoPayment(body, causeOf(envelope), rows)
    switch (undoing.kind) {
      case 'begun':
        return { changed: undoing.changed }
      case 'pending':
        return {}
      case 'undone': {
        const { changed } = undoing
        const reply = refundReply(command, undoing.body)
        // The fact is published once, with what it tells of; the answer whenever it is asked for.
        return changed
          ? { changed, messages: [undoFact(undoing.body), reply] }
          : { messages: [reply] }
      }
      default:
        return unreachable(undoing)
    }
  },
}
