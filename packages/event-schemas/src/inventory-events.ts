import { z } from 'zod'
import { type BodyOf, defineContract } from './contract.ts'
import { line, orderId, payment, quantity, sku } from './fields.ts'

const destination = { transport: 'kafka', topic: 'inventory.events' } as const

/** All lines of the order are set aside. Passes on what the payment needs, unread. */
export const stockReservedV1 = defineContract({
  type: 'stock.reserved.v1',
  destination,
  body: z.object({ orderId, lines: z.array(line).min(1), payment }),
})
export type StockReservedV1 = BodyOf<typeof stockReservedV1>

/** Not all lines could be set aside, so none was. */
export const stockRejectedV1 = defineContract({
  type: 'stock.rejected.v1',
  destination,
  body: z.object({
    orderId,
    /** `undone`: the order was cancelled before it got here. */
    reason: z.enum(['out-of-stock', 'undone']),
    shortages: z.array(z.object({ sku, requested: quantity, available: z.int().nonnegative() })),
  }),
})
export type StockRejectedV1 = BodyOf<typeof stockRejectedV1>

/** What was set aside for the order is back. No lines when nothing had been set aside. */
export const stockReleasedV1 = defineContract({
  type: 'stock.released.v1',
  destination,
  body: z.object({ orderId, lines: z.array(line) }),
})
export type StockReleasedV1 = BodyOf<typeof stockReleasedV1>

/** What was set aside for the order has left the warehouse. */
export const stockShippedV1 = defineContract({
  type: 'stock.shipped.v1',
  destination,
  body: z.object({ orderId, lines: z.array(line).min(1) }),
})
export type StockShippedV1 = BodyOf<typeof stockShippedV1>
