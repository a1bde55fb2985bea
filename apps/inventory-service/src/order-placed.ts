import type { OrderPlacedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { formatStep } from '@edp/saga/participant'
import { reserveStep } from './reserve-step.ts'
import { reserveStock, reservingFact } from './reserve-stock.ts'
import type { InventoryRows } from './rows.ts'

/** Holds all lines of the order or none. The same order again gets the same answer. */
export const orderPlaced: MessageHandler<OrderPlacedV1, InventoryRows> = {
  keys: ({ body }) => ({
    steps: [formatStep(reserveStep(body.orderId, 'do'))],
    stock: body.lines.map((line) => line.sku),
  }),

  decide: ({ body }, rows) => {
    const { orderId, payment } = body
    const lines = body.lines.map(({ sku, quantity }) => ({ sku, quantity }))
    const reserving = reserveStock({ orderId, lines, payment }, rows)
    const { changed } = reserving
    return { ...(changed && { changed }), messages: [reservingFact(reserving)] }
  },
}
