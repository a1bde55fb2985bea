import {
  type MessageDeadLetteredV1,
  messageDeadLetteredV1,
  messageResolvedV1,
  type Outgoing,
  outgoing,
} from '@edp/event-schemas'
import { fingerprintOf } from '@edp/messaging'
import type { Payment, RefundFailure, RefundLetter } from './domain/payment.ts'

/** The consumer that dead letters of refunds name. It is no consumer of messages: the work is in the row of the payment. */
export const dueWorkConsumer = 'payment-service.due-work'

const codes = { refused: 'refund-refused', silent: 'gateway-silent' } as const
const reasons = { refused: 'permanent', silent: 'attempts-exhausted' } as const

/** The dead letter of a refund that does not succeed. There is one an order, so its id is the order's. */
export function refundLetter(payment: Payment, failure: RefundFailure, now: Date): Outgoing {
  const { orderId, amountMinor, currency, attempts, cause, letter } = payment
  const chargeId = 'chargeId' in payment ? payment.chargeId : null
  const what = JSON.stringify({ orderId, amountMinor, currency, chargeId })
  const type = 'payment.refund'
  const code = codes[failure.kind]
  const at = now.toISOString()
  const body: MessageDeadLetteredV1 = {
    consumer: dueWorkConsumer,
    messageId: orderId,
    source: 'due-work',
    position: `payments/${orderId}`,
    type,
    key: orderId,
    correlationId: orderId,
    causationId: cause.messageId,
    traceparent: cause.traceparent ?? null,
    content: { headers: {}, body: what, encoding: 'utf8', bytes: Buffer.byteLength(what) },
    reason: reasons[failure.kind],
    error: { code, message: failure.reason, stack: null },
    attempts,
    firstFailedAt: at,
    lastFailedAt: at,
    fingerprint: fingerprintOf({ consumer: dueWorkConsumer, type, code, stack: null }),
    redriveId: letter?.redriveId ?? null,
  }
  return outgoing(messageDeadLetteredV1, orderId, body)
}

/** Says that the refund of a dead letter has succeeded after all. */
export function refundResolved(orderId: string, { redriveId }: RefundLetter): Outgoing {
  const body = { consumer: dueWorkConsumer, messageId: orderId, redriveId }
  return outgoing(messageResolvedV1, orderId, { ...body, outcome: 'applied' })
}
