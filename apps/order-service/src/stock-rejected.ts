import type { StockRejectedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { decideRefusal } from './refusal.ts'
import type { OrderTables } from './rows.ts'

/**
 * There is not enough stock: the order is given up. A rejection because it had been undone (`undone`) comes to an order that is
 * being cancelled already, and changes nothing.
 */
export const stockRejected: MessageHandler<StockRejectedV1, OrderTables> = {
  keys: ({ body }) => ({ orders: [body.orderId] }),

  decide: (message, rows, now) => {
    const { reason, shortages } = message.body
    const detail = { reason, shortages }
    return decideRefusal(message, rows, now, { reason: 'out-of-stock', detail })
  },
}
