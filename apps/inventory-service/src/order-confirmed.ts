import { type OrderConfirmedV1, outgoing, stockShippedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { AppError } from '@edp/runtime'
import { ship } from './domain/reservation.ts'
import type { InventoryRows } from './rows.ts'

/** Ships what is held for the order, once. Both styles of the saga end here. */
export const orderConfirmed: MessageHandler<OrderConfirmedV1, InventoryRows> = {
  keys: ({ body }) => ({ reservations: [body.orderId] }),

  decide: ({ body: { orderId } }, rows) => {
    const reservation = rows.reservations.get(orderId)
    if (!reservation) {
      // Who confirmed it had seen stock.reserved, which was committed with the reservation.
      throw new AppError('nothing-reserved', `order ${orderId} is confirmed, nothing is reserved`, {
        retry: 'permanent',
      })
    }
    const movement = ship(reservation, rows.stock)
    if (!movement) return {}
    const body = { orderId, lines: [...movement.reservation.lines] }
    return {
      changed: { reservations: [movement.reservation], stock: movement.stock },
      messages: [outgoing(stockShippedV1, orderId, body)],
    }
  },
}
