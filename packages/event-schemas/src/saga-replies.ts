import { z } from 'zod'
import { type BodyOf, defineContract } from './contract.ts'
import { direction } from './envelope.ts'
import { amountMinor, currency, line, sagaId } from './fields.ts'

const destination = {
  transport: 'rabbitmq',
  exchange: 'replies',
  routingKey: 'order.saga-replies',
  express: 'order.saga-replies.express',
} as const

/**
 * What a participant answers. `ok`: it is done; `refused`: it was not and never will be, nothing is left to undo; `failed`:
 * an undo does not succeed and is tried again, which a person should see.
 */
export const replyOutcome = z.enum(['ok', 'refused', 'failed'])
export type ReplyOutcome = z.infer<typeof replyOutcome>

/** The answer to a command: to which one, what became of it, why if it is not `ok`, and its result if it is. */
function replyBody<Result extends z.ZodType>(result: Result) {
  return z.object({
    sagaId,
    step: z.string().min(1),
    direction,
    /** The attempt that is answered. Later ones of the same command may be under way. */
    attempt: z.int().positive(),
    outcome: replyOutcome,
    reason: z.string().min(1).optional(),
    result: result.optional(),
  })
}

/** The body of a reply, whatever its result. */
export type SagaReply<Result = unknown> = z.infer<ReturnType<typeof replyBody<z.ZodType<Result>>>>

/** The answer to `stock.reserve`. Refused as `out-of-stock`, or as `undone` when its undo was there first. */
export const stockReserveRepliedV1 = defineContract({
  type: 'stock.reserve.replied.v1',
  destination,
  body: replyBody(z.object({ lines: z.array(line).min(1) })),
})
export type StockReserveRepliedV1 = BodyOf<typeof stockReserveRepliedV1>

/** The answer to `stock.release`. No lines when nothing had been set aside. */
export const stockReleaseRepliedV1 = defineContract({
  type: 'stock.release.replied.v1',
  destination,
  body: replyBody(z.object({ lines: z.array(line) })),
})
export type StockReleaseRepliedV1 = BodyOf<typeof stockReleaseRepliedV1>

/** The answer to `payment.capture`. Refused with the gateway's code, such as `card_declined`. */
export const paymentCaptureRepliedV1 = defineContract({
  type: 'payment.capture.replied.v1',
  destination,
  body: replyBody(z.object({ chargeId: z.string().min(1), amountMinor, currency })),
})
export type PaymentCaptureRepliedV1 = BodyOf<typeof paymentCaptureRepliedV1>

/** The answer to `payment.refund`, with what went back, possibly 0. May be `failed` and later `ok`. */
export const paymentRefundRepliedV1 = defineContract({
  type: 'payment.refund.replied.v1',
  destination,
  body: replyBody(z.object({ amountMinor, currency })),
})
export type PaymentRefundRepliedV1 = BodyOf<typeof paymentRefundRepliedV1>
