import type { PaymentRefundedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { formatStep } from '@edp/saga/participant'
import { releaseStock, releasingFact } from './release-stock.ts'
import { reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/**
 * The second half of the undo chain: the money is back, so the stock goes back. Always answers, so that the order ends; an
 * order that has not got here yet is refused when it does.
 */
export const paymentRefunded: MessageHandler<PaymentRefundedV1, InventoryRows> = {
  keys: ({ body }) => ({
    steps: [formatStep(reserveStep(body.orderId, 'undo'))],
    reservations: [body.orderId],
  }),

  decide: ({ body }, rows) => {
    const releasing = releaseStock(body.orderId, rows)
    const { changed } = releasing
    return { ...(changed && { changed }), messages: [releasingFact(releasing)] }
  },
}
