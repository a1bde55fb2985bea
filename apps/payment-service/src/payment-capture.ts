import type { PaymentCaptureV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { commandOf, formatStep } from '@edp/saga/participant'
import { capturePayment } from './capture-payment.ts'
import { causeOf } from './cause.ts'
import { chargeStep } from './charge-step.ts'
import { captureReply } from './replies.ts'
import type { PaymentRows } from './rows.ts'

/**
 * Has the customer charged, for the orchestrator: first only written down, the gateway is called after the commit, and what it
 * says is answered then (`record-answers.ts`). A command that comes again meanwhile gets no answer yet, and afterwards the
 * same one.
 */
export const paymentCapture: MessageHandler<PaymentCaptureV1, PaymentRows> = {
  // Not the payment: it does not exist yet, and a lookup for each order would find nothing.
  keys: ({ envelope, body }) => {
    const step = chargeStep(body.orderId, 'do')
    commandOf(envelope, step)
    return { steps: [formatStep(step)] }
  },

  decide: ({ envelope, body: { orderId, payment } }, rows) => {
    const command = commandOf(envelope, chargeStep(orderId, 'do'))
    const capturing = capturePayment(orderId, { ...payment, cause: causeOf(envelope) }, rows)
    switch (capturing.kind) {
      case 'requested':
        return { changed: capturing.changed }
      case 'pending':
        return {}
      case 'captured':
      case 'declined':
        return { messages: [captureReply(command, capturing)] }
      default:
        return unreachable(capturing)
    }
  },
}
