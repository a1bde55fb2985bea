import type { StockReleasedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { finishCancelling } from './domain/order.ts'
import { orderCancelled } from './order-messages.ts'
import type { OrderTables } from './rows.ts'
import { seen } from './timeline.ts'

/** The last of the undoing is done, after the refund: the order is cancelled. */
export const stockReleased: MessageHandler<StockReleasedV1, OrderTables> = {
  keys: ({ body }) => ({ orders: [body.orderId] }),

  decide: (message, rows, now) => {
    const { orderId, lines } = message.body
    const detail = { lines }
    const order = rows.orders.get(orderId)
    if (order === undefined) {
      return { changed: { timeline: [seen(message, now, { detail, note: 'unknown-order' })] } }
    }
    const verdict = finishCancelling(order, now)
    if (!verdict.changed) {
      return { changed: { timeline: [seen(message, now, { detail, note: verdict.note })] } }
    }
    return {
      changed: { orders: [verdict.order], timeline: [seen(message, now, { detail })] },
      messages: [orderCancelled(verdict.order)],
    }
  },
}
