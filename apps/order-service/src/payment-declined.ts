import type { PaymentDeclinedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { decideRefusal } from './refusal.ts'
import type { OrderTables } from './rows.ts'

/** The customer cannot pay: the order is given up. */
export const paymentDeclined: MessageHandler<PaymentDeclinedV1, OrderTables> = {
  keys: ({ body }) => ({ orders: [body.orderId] }),

  decide: (message, rows, now) => {
    const { code } = message.body
    return decideRefusal(message, rows, now, { reason: 'payment-declined', detail: { code } })
  },
}
