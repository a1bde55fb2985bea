import {
  type Outgoing,
  outgoing,
  type Payment as Terms,
  type PaymentCapturedV1,
  type PaymentDeclinedV1,
  paymentCapturedV1,
  paymentDeclinedV1,
} from '@edp/event-schemas'
import type { Changed, Rows } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { judgeDo, settle } from '@edp/saga/participant'
import { chargeStep, claimedStep } from './charge-step.ts'
import { cancelledCode, type Cause, request } from './domain/payment.ts'
import type { PaymentRows } from './rows.ts'

/** What becomes of a capture that is asked for. */
export type Capturing =
  /** Written down; the gateway is called after the commit, and who asked is answered when it has answered. */
  | { readonly kind: 'requested'; readonly changed: Changed<PaymentRows> }
  /** Asked for before and not answered yet. */
  | { readonly kind: 'pending' }
  | CaptureAnswer

/** How a capture ended, now or before. */
export type CaptureAnswer =
  | { readonly kind: 'captured'; readonly body: PaymentCapturedV1 }
  | { readonly kind: 'declined'; readonly body: PaymentDeclinedV1 }

/** Has the customer of an order charged, once, whoever asks and how often. Needs the step. */
export function capturePayment(
  orderId: string,
  payment: Terms & { readonly cause: Cause },
  rows: Rows<PaymentRows>,
): Capturing {
  const step = chargeStep(orderId, 'do')
  const verdict = judgeDo(claimedStep(rows.steps, step))
  switch (verdict.kind) {
    case 'act':
      return {
        kind: 'requested',
        changed: {
          steps: [settle(step, 'started')],
          payments: [request({ orderId, ...payment })],
        },
      }
    case 'pending':
      return { kind: 'pending' }
    case 'answer':
      return verdict.outcome === 'ok'
        ? { kind: 'captured', body: paymentCapturedV1.body.parse(verdict.reply) }
        : // A tombstone has no reply: the order was given up before it got here.
          {
            kind: 'declined',
            body: paymentDeclinedV1.body.parse(verdict.reply ?? { orderId, code: cancelledCode }),
          }
    default:
      return unreachable(verdict)
  }
}

/** What everybody is told of it. */
export function captureFact({ kind, body }: CaptureAnswer): Outgoing {
  return kind === 'captured'
    ? outgoing(paymentCapturedV1, body.orderId, body)
    : outgoing(paymentDeclinedV1, body.orderId, body)
}
