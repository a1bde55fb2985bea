import { z } from 'zod'
import { type BodyOf, defineContract } from './contract.ts'
import { currency, line, orderId, payment } from './fields.ts'

// Commands of an orchestrated saga. Which saga, step, direction and attempt they belong to is in their headers; the saga's
// id is the order's. Every attempt is a new message with an id of its own. A saga's priority never changes, so all of its commands
// to a participant go through one queue.

const toInventory = {
  transport: 'rabbitmq',
  exchange: 'commands',
  routingKey: 'inventory.commands',
  express: 'inventory.commands.express',
} as const
const toPayment = {
  transport: 'rabbitmq',
  exchange: 'commands',
  routingKey: 'payment.commands',
  express: 'payment.commands.express',
} as const

/**
 * Set aside all lines of the order, or none. `payment` is only passed on, unread, in `stock.reserved`, which says the same
 * in both styles of saga.
 */
export const stockReserveV1 = defineContract({
  type: 'stock.reserve.v1',
  destination: toInventory,
  body: z.object({ orderId, lines: z.array(line).min(1), payment }),
})
export type StockReserveV1 = BodyOf<typeof stockReserveV1>

/** Give back what was set aside for the order; what was not yet must never be. */
export const stockReleaseV1 = defineContract({
  type: 'stock.release.v1',
  destination: toInventory,
  body: z.object({ orderId }),
})
export type StockReleaseV1 = BodyOf<typeof stockReleaseV1>

/** Charge the customer. */
export const paymentCaptureV1 = defineContract({
  type: 'payment.capture.v1',
  destination: toPayment,
  body: z.object({ orderId, payment }),
})
export type PaymentCaptureV1 = BodyOf<typeof paymentCaptureV1>

/** Give back what the customer was charged; what was not yet must never be. */
export const paymentRefundV1 = defineContract({
  type: 'payment.refund.v1',
  destination: toPayment,
  body: z.object({ orderId, currency }),
})
export type PaymentRefundV1 = BodyOf<typeof paymentRefundV1>
