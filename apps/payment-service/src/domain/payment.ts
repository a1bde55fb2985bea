import type { Coordination, Priority } from '@edp/event-schemas'
import { type Backoff, fullJitter, unreachable } from '@edp/runtime'

/** The message that the present work on a payment comes from: what is sent about it names it as its cause. */
export interface Cause {
  readonly messageId: string
  readonly coordination: Coordination
  readonly traceparent: string | undefined
  /** Of the command that is to be answered; undefined when the message is no command. */
  readonly attempt: number | undefined
  readonly priority: Priority
}

/** A dead letter that stands for a refund which did not succeed: its end is told. */
export interface RefundLetter {
  /** The redrive that is trying it now. */
  readonly redriveId: string | null
}

interface Terms {
  readonly orderId: string
  readonly amountMinor: number
  readonly currency: string
  /** An opaque token that only the gateway understands. */
  readonly paymentRef: string
  readonly cause: Cause
  /** Calls whose outcome is unknown, in the present state. */
  readonly attempts: number
  readonly letter?: RefundLetter
}

/** A state in which the gateway is to be called, at once or later. */
interface Open extends Terms {
  readonly dueInMs: number
}

/** To be charged; it may have been, without our knowing. */
export type Requested = Open & { readonly status: 'requested' }
export type Captured = Terms & { readonly status: 'captured'; readonly chargeId: string }
export type Declined = Terms & {
  readonly status: 'declined'
  readonly code: string
  /** More than 0 when it had been charged after all: asking went on for too long, and it was undone. */
  readonly refundedMinor: number
}
/** What an undo ends in: `declined` answers the capture that failed for good, `refunded` the order's undo. */
interface Undoing {
  /** Null when nobody was told that it was captured. */
  readonly chargeId: string | null
  /** The capture is to be answered as declined with this code; null when the order is being undone. */
  readonly declineAs: string | null
}
/** Being undone before its capture was known: whatever the capture answers now counts no more. */
export type Voiding = Open & Undoing & { readonly status: 'voiding' }
export type Voided = Terms & { readonly status: 'void' }
export type Refunding = Open & Undoing & { readonly status: 'refunding' }
export type Refunded = Terms & {
  readonly status: 'refunded'
  readonly chargeId: string | null
  readonly refundedMinor: number
}
/** The gateway refuses the refund, or did not answer for too long: people see it, and it is asked again now and then. */
export type RefundFailed = Open & Undoing & { readonly status: 'refund_failed' }

export type OpenPayment = Requested | Voiding | Refunding | RefundFailed
export type Payment = OpenPayment | Captured | Declined | Voided | Refunded
export type PaymentStatus = Payment['status']

/** What the gateway said to a charge. Unknown is everything that is not definite. */
export type ChargeAnswer =
  | { readonly kind: 'captured'; readonly chargeId: string }
  | { readonly kind: 'declined'; readonly code: string }
  | Unknown

/** What the gateway said to a void. `voided`: this key can never charge. */
export type VoidAnswer =
  | { readonly kind: 'voided' }
  | { readonly kind: 'refunded'; readonly refundedMinor: number }
  | { readonly kind: 'refund-refused' }
  | Unknown

export interface Unknown {
  readonly kind: 'unknown'
  /** Why, for people: `timeout`, `http-500`. */
  readonly reason: string
  /** How long the gateway asked us to wait. */
  readonly retryAfterMs?: number
}

/** What an answer brought about that others are told. */
export type Outcome =
  | { readonly kind: 'captured'; readonly chargeId: string }
  | { readonly kind: 'declined'; readonly code: string }
  | {
      readonly kind: 'undone'
      readonly refundedMinor: number
      /** Nobody was told that it was captured: the capture is answered as refused from now on. */
      readonly neverCaptured: boolean
    }
  /** An undo does not succeed for now: told once each time that it is begun. */
  | { readonly kind: 'refund-failed'; readonly failure: RefundFailure }

/** Why a refund does not succeed. */
export interface RefundFailure {
  /** Whether the gateway refuses it, or says nothing definite for too long. */
  readonly kind: 'refused' | 'silent'
  readonly reason: string
}

export interface Settlement {
  readonly payment: Payment
  readonly outcome?: Outcome
  /** A dead letter that is no more: what it stood for has succeeded. */
  readonly resolved?: RefundLetter
}

/** How long and how often an unknown outcome is asked again. */
export interface RetryPolicy {
  readonly attemptsMax: number
  readonly retry: Backoff
  readonly refundFailed: Backoff
  /** From 0 to below 1: where in its backoff a retry comes. */
  readonly jitter: number
}

/** What a decline says that is not the gateway's. */
export const cancelledCode = 'cancelled'
export const gatewayFailedCode = 'gateway_failed'

/** Longer than any provider means, so that a nonsensical Retry-After does not stop a payment for good. */
const retryAfterMaxMs = 15 * 60 * 1000

/** A payment that is to be charged. */
export function request(terms: Omit<Terms, 'attempts' | 'letter'>): Requested {
  return { ...terms, status: 'requested', attempts: 0, dueInMs: 0 }
}

/** What the undo of an order finds: work to do, work that is under way and will answer, or nothing to undo. */
export type UndoStart =
  | { readonly kind: 'begin'; readonly payment: Voiding | Refunding }
  | { readonly kind: 'pending' }
  | { readonly kind: 'over' }

/** Begins the undo of a payment for an order that is given up. */
export function beginUndo(payment: Payment, cause: Cause): UndoStart {
  switch (payment.status) {
    case 'requested':
      return { kind: 'begin', payment: toVoiding(payment, { cause, declineAs: null }) }
    case 'captured':
      return {
        kind: 'begin',
        payment: {
          ...payment,
          status: 'refunding',
          cause,
          declineAs: null,
          attempts: 0,
          dueInMs: 0,
        },
      }
    case 'voiding':
      // A capture that failed for good is being undone: from now on it is the order's undo that is answered.
      if (payment.declineAs === null) return { kind: 'pending' }
      return { kind: 'begin', payment: toVoiding(payment, { cause, declineAs: null }) }
    case 'refund_failed':
      if (payment.declineAs === null) {
        // Asked for again, so it is tried again at once. Its attempts go on where they were: a gateway that stays silent has
        // failed again after one call.
        return { kind: 'begin', payment: { ...payment, status: 'refunding', cause, dueInMs: 0 } }
      }
      return { kind: 'begin', payment: toVoiding(payment, { cause, declineAs: null }) }
    case 'refunding':
      return { kind: 'pending' }
    case 'declined':
    case 'void':
    case 'refunded':
      return { kind: 'over' }
    default:
      return unreachable(payment)
  }
}

/**
 * Tries a refund that did not succeed again at once, as a further command would, for whoever asked for it first. Undefined when there
 * is none. Its attempts go on where they were: a gateway that stays silent has failed again after one call.
 */
export function retryRefund(
  payment: Payment,
  redriveId: string | null,
): Voiding | Refunding | undefined {
  if (payment.status !== 'refund_failed') return undefined
  const letter = payment.letter && { redriveId: redriveId ?? payment.letter.redriveId }
  const retried = { ...payment, dueInMs: 0, ...(letter && { letter }) }
  return payment.chargeId === null
    ? { ...retried, status: 'voiding' }
    : { ...retried, status: 'refunding' }
}

/**
 * What the answer to a charge means. Only a payment that is still `requested` takes it: once an undo has begun, the void
 * says what became of the money. Undefined for an answer that comes too late.
 */
export function settleCharge(
  payment: Payment,
  answer: ChargeAnswer,
  policy: RetryPolicy,
): Settlement | undefined {
  if (payment.status !== 'requested') return undefined
  const { dueInMs: _, ...terms } = payment
  switch (answer.kind) {
    case 'captured': {
      const { chargeId } = answer
      return {
        payment: { ...terms, status: 'captured', chargeId },
        outcome: { kind: 'captured', chargeId },
      }
    }
    case 'declined': {
      const { code } = answer
      return {
        payment: { ...terms, status: 'declined', code, refundedMinor: 0 },
        outcome: { kind: 'declined', code },
      }
    }
    case 'unknown': {
      const attempts = payment.attempts + 1
      // It may have been charged, so giving up means undoing it first.
      if (attempts >= policy.attemptsMax) {
        return { payment: toVoiding(payment, { declineAs: gatewayFailedCode }) }
      }
      const dueInMs = retryInMs(answer, { ...policy.retry, attempt: attempts }, policy)
      return { payment: { ...payment, attempts, dueInMs } }
    }
    default:
      return unreachable(answer)
  }
}

/** What the answer to a void means. Undefined when nothing is being undone any more: another process was faster. */
export function settleVoid(
  payment: Payment,
  answer: VoidAnswer,
  policy: RetryPolicy,
): Settlement | undefined {
  switch (payment.status) {
    case 'voiding':
    case 'refunding':
    case 'refund_failed':
      break
    default:
      return undefined
  }
  switch (answer.kind) {
    case 'voided':
      return undone(payment, 0)
    case 'refunded':
      return undone(payment, answer.refundedMinor)
    case 'refund-refused':
      return failedRefund(payment, policy)
    case 'unknown': {
      const attempts = payment.attempts + 1
      if (payment.status === 'refund_failed' || attempts >= policy.attemptsMax) {
        return failedRefund(payment, policy, answer)
      }
      const dueInMs = retryInMs(answer, { ...policy.retry, attempt: attempts }, policy)
      return { payment: { ...payment, attempts, dueInMs } }
    }
    default:
      return unreachable(answer)
  }
}

/** Whether the gateway is to be called for a payment, and with what. */
export function callFor(payment: Payment): 'charge' | 'void' | undefined {
  switch (payment.status) {
    case 'requested':
      return 'charge'
    case 'voiding':
    case 'refunding':
    case 'refund_failed':
      return 'void'
    case 'captured':
    case 'declined':
    case 'void':
    case 'refunded':
      return undefined
    default:
      return unreachable(payment)
  }
}

function undone(payment: Voiding | Refunding | RefundFailed, refundedMinor: number): Settlement {
  const { dueInMs: _, declineAs, chargeId, letter, ...terms } = payment
  const resolved = letter && { resolved: letter }
  if (declineAs !== null) {
    return {
      ...resolved,
      payment: { ...terms, status: 'declined', code: declineAs, refundedMinor },
      outcome: { kind: 'declined', code: declineAs },
    }
  }
  const outcome: Outcome = { kind: 'undone', refundedMinor, neverCaptured: chargeId === null }
  if (refundedMinor === 0 && chargeId === null) {
    return { ...resolved, payment: { ...terms, status: 'void' }, outcome }
  }
  const refunded: Refunded = { ...terms, status: 'refunded', chargeId, refundedMinor }
  return { ...resolved, payment: refunded, outcome }
}

function toVoiding(
  payment: Requested | Voiding | RefundFailed,
  change: { cause?: Cause; declineAs: string | null },
): Voiding {
  const { orderId, amountMinor, currency, paymentRef, letter } = payment
  const { cause = payment.cause, declineAs } = change
  return {
    ...(letter && { letter }),
    orderId,
    amountMinor,
    currency,
    paymentRef,
    cause,
    declineAs,
    status: 'voiding',
    chargeId: payment.status === 'requested' ? null : payment.chargeId,
    attempts: 0,
    dueInMs: 0,
  }
}

function failedRefund(
  payment: Voiding | Refunding | RefundFailed,
  policy: RetryPolicy,
  answer?: Unknown,
): Settlement {
  const attempts = payment.attempts + 1
  const attempt = payment.status === 'refund_failed' ? attempts : 1
  const dueInMs = retryInMs(answer, { ...policy.refundFailed, attempt }, policy)
  const failed: RefundFailed = { ...payment, status: 'refund_failed', attempts, dueInMs }
  // Who asked was told when it failed first.
  if (payment.status === 'refund_failed') return { payment: failed }
  const failure: RefundFailure = answer
    ? { kind: 'silent', reason: answer.reason }
    : { kind: 'refused', reason: 'the gateway refuses it' }
  const letter = payment.letter ?? { redriveId: null }
  return { payment: { ...failed, letter }, outcome: { kind: 'refund-failed', failure } }
}

function retryInMs(
  answer: Unknown | undefined,
  backoff: Backoff & { attempt: number },
  { jitter }: RetryPolicy,
): number {
  const askedMs = Math.min(answer?.retryAfterMs ?? 0, retryAfterMaxMs)
  // Never 0, which would mean that whoever saves the payment calls at once.
  return Math.max(askedMs, 1, fullJitter({ ...backoff, random: () => jitter }))
}
