import { z } from 'zod'
import { type BodyOf, defineContract } from './contract.ts'
import { amountMinor, currency, orderId } from './fields.ts'

const destination = { transport: 'kafka', topic: 'payment.events' } as const

/** The customer has been charged. */
export const paymentCapturedV1 = defineContract({
  type: 'payment.captured.v1',
  destination,
  body: z.object({ orderId, chargeId: z.string().min(1), amountMinor, currency }),
})
export type PaymentCapturedV1 = BodyOf<typeof paymentCapturedV1>

/** The customer was not charged and will not be. `code` is the gateway's, such as card_declined. */
export const paymentDeclinedV1 = defineContract({
  type: 'payment.declined.v1',
  destination,
  body: z.object({ orderId, code: z.string().min(1) }),
})
export type PaymentDeclinedV1 = BodyOf<typeof paymentDeclinedV1>

/**
 * No money of this order is held any more: refunded, voided before it was charged, or never asked for.
 * `amountMinor` is what went back, possibly 0. Always follows `order.cancelling`.
 */
export const paymentRefundedV1 = defineContract({
  type: 'payment.refunded.v1',
  destination,
  body: z.object({ orderId, amountMinor, currency }),
})
export type PaymentRefundedV1 = BodyOf<typeof paymentRefundedV1>
