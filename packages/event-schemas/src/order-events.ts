import { z } from 'zod'
import { type BodyOf, defineContract } from './contract.ts'
import {
  amountMinor,
  cancelReason,
  currency,
  orderId,
  payment,
  pricedLine,
  priority,
} from './fields.ts'

const destination = { transport: 'kafka', topic: 'order.events' } as const

/** A customer's order was accepted. Starts the choreographed saga. */
export const orderPlacedV1 = defineContract({
  type: 'order.placed.v1',
  destination,
  body: z.object({
    orderId,
    customerId: z.string().min(1),
    lines: z.array(pricedLine).min(1),
    payment,
    priority,
  }),
})
export type OrderPlacedV1 = BodyOf<typeof orderPlacedV1>

/** The order will not be fulfilled: whoever did something for it undoes that, payment first. */
export const orderCancellingV1 = defineContract({
  type: 'order.cancelling.v1',
  destination,
  body: z.object({ orderId, reason: cancelReason, currency }),
})
export type OrderCancellingV1 = BodyOf<typeof orderCancellingV1>

/** The order is paid and its stock is set aside: it will be shipped. The saga can no longer be undone. */
export const orderConfirmedV1 = defineContract({
  type: 'order.confirmed.v1',
  destination,
  body: z.object({
    orderId,
    customerId: z.string().min(1),
    lines: z.array(pricedLine).min(1),
    amountMinor,
    currency,
  }),
})
export type OrderConfirmedV1 = BodyOf<typeof orderConfirmedV1>

/** Everything that was done for the order has been undone. */
export const orderCancelledV1 = defineContract({
  type: 'order.cancelled.v1',
  destination,
  body: z.object({ orderId, customerId: z.string().min(1), reason: cancelReason }),
})
export type OrderCancelledV1 = BodyOf<typeof orderCancelledV1>
