import { z } from 'zod'

/** A moment in UTC. The year 0000 is one of ISO 8601 and JavaScript, but none that Postgres can store. */
export const instant = z.iso
  .datetime()
  .refine((text) => !text.startsWith('0000'), 'expected a year from 0001 on')

/** Money is integer minor units with a currency: 1999 and EUR are 19.99 euro. */
export const amountMinor = z.int().nonnegative()
export const currency = z.string().regex(/^[A-Z]{3}$/, 'expected an ISO 4217 code such as EUR')
/** With a message of its own: of a UUID of another version, `Invalid UUID` is untrue. */
export const uuidV7 = z.uuidv7('expected a UUID of version 7')
export const orderId = uuidV7
/** The id of a saga is the id of its order, in both styles. */
export const sagaId = orderId
export const sku = z.string().min(1).max(64)
export const quantity = z.int().positive().max(1_000_000)

export const line = z.object({ sku, quantity })
export type Line = z.infer<typeof line>

export const pricedLine = z.object({ sku, quantity, unitPriceMinor: amountMinor })
export type PricedLine = z.infer<typeof pricedLine>

/** What the customer pays and how. `paymentRef` is an opaque token that only the gateway understands. */
export const payment = z.object({ amountMinor, currency, paymentRef: z.string().min(1).max(200) })
export type Payment = z.infer<typeof payment>

/** Why an order was undone. */
export const cancelReason = z.enum([
  'out-of-stock',
  'payment-declined',
  'customer-request',
  'deadline-passed',
])
export type CancelReason = z.infer<typeof cancelReason>

/** Express commands and replies have queues of their own, which no standard one delays. */
export const priority = z.enum(['standard', 'express'])
export type Priority = z.infer<typeof priority>
