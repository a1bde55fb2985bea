import type { PaymentCapturedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { refuseOtherAmount } from './domain/captured-amount.ts'
import { confirm } from './domain/order.ts'
import { orderConfirmed } from './order-messages.ts'
import type { OrderTables } from './rows.ts'
import { seen } from './timeline.ts'

/** The customer has paid for what is set aside: the order is confirmed, unless it is being cancelled. */
export const paymentCaptured: MessageHandler<PaymentCapturedV1, OrderTables> = {
  keys: ({ body }) => ({ orders: [body.orderId], lines: [body.orderId] }),

  decide: (message, rows, now) => {
    const { orderId, chargeId, amountMinor, currency } = message.body
    const detail = { chargeId, amountMinor, currency }
    const order = rows.orders.get(orderId)
    const lines = rows.lines.get(orderId)
    if (order === undefined || lines === undefined) {
      return { changed: { timeline: [seen(message, now, { detail, note: 'unknown-order' })] } }
    }
    refuseOtherAmount(order, message.body)
    const verdict = confirm(order, now)
    if (!verdict.changed) {
      return { changed: { timeline: [seen(message, now, { detail, note: verdict.note })] } }
    }
    return {
      changed: { orders: [verdict.order], timeline: [seen(message, now, { detail })] },
      messages: [orderConfirmed(verdict.order, lines.lines)],
    }
  },
}
