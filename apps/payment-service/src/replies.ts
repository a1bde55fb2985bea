import {
  type CommandHeaders,
  type Outgoing,
  type PaymentRefundedV1,
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
} from '@edp/event-schemas'
import { replyTo } from '@edp/saga/participant'
import type { CaptureAnswer } from './capture-payment.ts'

/** What the orchestrator is answered to `payment.capture`. */
export function captureReply(command: CommandHeaders, answer: CaptureAnswer): Outgoing {
  if (answer.kind === 'declined') {
    const { code: reason } = answer.body
    return replyTo(command, paymentCaptureRepliedV1, { outcome: 'refused', reason })
  }
  const { chargeId, amountMinor, currency } = answer.body
  const result = { chargeId, amountMinor, currency }
  return replyTo(command, paymentCaptureRepliedV1, { outcome: 'ok', result })
}

/** What the orchestrator is answered to `payment.refund`: an undo always ends well, if late. */
export function refundReply(command: CommandHeaders, body: PaymentRefundedV1): Outgoing {
  const { amountMinor, currency } = body
  const result = { amountMinor, currency }
  return replyTo(command, paymentRefundRepliedV1, { outcome: 'ok', result })
}

/** The refund does not succeed. It is asked for again, by itself and by every further command. */
export function refundFailedReply(command: CommandHeaders): Outgoing {
  const answer = { outcome: 'failed', reason: 'refund_failed' } as const
  return replyTo(command, paymentRefundRepliedV1, answer)
}
