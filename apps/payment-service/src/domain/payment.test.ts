import { describe, expect, test } from 'vitest'
import {
  beginUndo,
  callFor,
  type Captured,
  type Cause,
  type Payment,
  type PaymentStatus,
  type RefundFailed,
  type Refunding,
  request,
  retryRefund,
  type RetryPolicy,
  settleCharge,
  settleVoid,
  type Voiding,
} from './payment.ts'

const reserved: Cause = {
  messageId: 'm-1',
  coordination: 'choreographed',
  traceparent: undefined,
  attempt: undefined,
  priority: 'standard',
}
const cancelling: Cause = { ...reserved, messageId: 'm-2' }
const terms = {
  orderId: 'order-1',
  amountMinor: 1299,
  currency: 'EUR',
  paymentRef: 'tok_ok',
  cause: reserved,
}
const policy: RetryPolicy = {
  attemptsMax: 3,
  retry: { baseMs: 100, capMs: 1000 },
  refundFailed: { baseMs: 5000, capMs: 60_000 },
  jitter: 0.5,
}
const silence = { kind: 'unknown', reason: 'timeout' } as const

const requested = request(terms)
const captured: Captured = { ...terms, attempts: 0, status: 'captured', chargeId: 'ch_1' }
const open = { ...terms, cause: cancelling, attempts: 0, dueInMs: 0, declineAs: null }
const voiding: Voiding = { ...open, status: 'voiding', chargeId: null }
const refunding: Refunding = { ...open, status: 'refunding', chargeId: 'ch_1' }
const refundFailed: RefundFailed = { ...open, status: 'refund_failed', chargeId: 'ch_1' }
const letter = { redriveId: null }
const all: Payment[] = [
  requested,
  captured,
  { ...terms, attempts: 0, status: 'declined', code: 'card_declined', refundedMinor: 0 },
  voiding,
  { ...terms, attempts: 0, status: 'void' },
  refunding,
  { ...terms, attempts: 0, status: 'refunded', chargeId: 'ch_1', refundedMinor: 1299 },
  refundFailed,
]

function others(...statuses: PaymentStatus[]): Payment[] {
  return all.filter((payment) => !statuses.includes(payment.status))
}

describe('the answer to a charge', () => {
  test('captured is told with its charge', () => {
    expect(settleCharge(requested, { kind: 'captured', chargeId: 'ch_1' }, policy)).toEqual({
      payment: { ...terms, attempts: 0, status: 'captured', chargeId: 'ch_1' },
      outcome: { kind: 'captured', chargeId: 'ch_1' },
    })
  })

  test('declined is told with its code', () => {
    expect(
      settleCharge(requested, { kind: 'declined', code: 'card_declined' }, policy),
    ).toMatchObject({
      payment: { status: 'declined', code: 'card_declined', refundedMinor: 0 },
      outcome: { kind: 'declined', code: 'card_declined' },
    })
  })

  test('unknown is told to nobody and asked again, later each time', () => {
    const first = settleCharge(requested, silence, policy)
    expect(first).toEqual({ payment: { ...requested, attempts: 1, dueInMs: 50 } })
    const second = settleCharge(first?.payment ?? requested, silence, policy)
    expect(second).toEqual({ payment: { ...requested, attempts: 2, dueInMs: 100 } })
  })

  test('unknown is asked again no sooner than the gateway wants', () => {
    const answer = { ...silence, retryAfterMs: 7000 }
    expect(settleCharge(requested, answer, policy)?.payment).toMatchObject({ dueInMs: 7000 })
  })

  test('a Retry-After of a year does not stop the payment', () => {
    const answer = { ...silence, retryAfterMs: 365 * 24 * 3600 * 1000 }
    expect(settleCharge(requested, answer, policy)?.payment).toMatchObject({ dueInMs: 900_000 })
  })

  test('unknown for good is not declined but undone first, since it may have been charged', () => {
    const last = { ...requested, attempts: 2 }
    expect(settleCharge(last, silence, policy)).toEqual({
      payment: {
        ...requested,
        status: 'voiding',
        chargeId: null,
        declineAs: 'gateway_failed',
        attempts: 0,
        dueInMs: 0,
      },
    })
  })

  test.each(others('requested'))(
    'that comes when the payment is $status changes nothing and is told to nobody',
    (payment) => {
      expect(settleCharge(payment, { kind: 'captured', chargeId: 'ch_9' }, policy)).toBeUndefined()
      expect(settleCharge(payment, { kind: 'declined', code: 'voided' }, policy)).toBeUndefined()
      expect(settleCharge(payment, silence, policy)).toBeUndefined()
    },
  )
})

describe('the undo of an order', () => {
  test('voids a payment whose capture is not known', () => {
    expect(beginUndo(requested, cancelling)).toEqual({ kind: 'begin', payment: voiding })
  })

  test('refunds a payment that was captured', () => {
    expect(beginUndo(captured, cancelling)).toEqual({ kind: 'begin', payment: refunding })
  })

  test('takes over the undo of a capture that failed for good, so that it is answered once', () => {
    const givenUp: Voiding = { ...voiding, cause: reserved, declineAs: 'gateway_failed' }
    expect(beginUndo(givenUp, cancelling)).toEqual({ kind: 'begin', payment: voiding })
    const stuck: RefundFailed = { ...givenUp, status: 'refund_failed' }
    expect(beginUndo(stuck, cancelling)).toEqual({ kind: 'begin', payment: voiding })
  })

  test.each([voiding, refunding])('waits for the one that is $status', (payment) => {
    expect(beginUndo(payment, cancelling)).toEqual({ kind: 'pending' })
  })

  test('asked for again tries a failed refund again at once, and counts on', () => {
    const again: Cause = { ...cancelling, messageId: 'm-3', attempt: 2 }
    const failed: RefundFailed = { ...refundFailed, attempts: 3, dueInMs: 5000 }
    expect(beginUndo(failed, again)).toEqual({
      kind: 'begin',
      payment: { ...refunding, cause: again, attempts: 3, dueInMs: 0 },
    })
  })

  test.each(others('requested', 'captured', 'voiding', 'refunding', 'refund_failed'))(
    'finds nothing to do when the payment is $status',
    (payment) => {
      expect(beginUndo(payment, cancelling)).toEqual({ kind: 'over' })
    },
  )
})

describe('the answer to a void', () => {
  test('voided says that nothing went back and that nobody was told of a capture', () => {
    expect(settleVoid(voiding, { kind: 'voided' }, policy)).toEqual({
      payment: { ...terms, cause: cancelling, attempts: 0, status: 'void' },
      outcome: { kind: 'undone', refundedMinor: 0, neverCaptured: true },
    })
  })

  test('refunded says what went back, also of a capture that nobody was told of', () => {
    const answer = { kind: 'refunded', refundedMinor: 1299 } as const
    expect(settleVoid(voiding, answer, policy)).toMatchObject({
      payment: { status: 'refunded', refundedMinor: 1299 },
      outcome: { kind: 'undone', refundedMinor: 1299, neverCaptured: true },
    })
    expect(settleVoid(refunding, answer, policy)).toMatchObject({
      payment: { status: 'refunded', refundedMinor: 1299, chargeId: 'ch_1' },
      outcome: { kind: 'undone', refundedMinor: 1299, neverCaptured: false },
    })
  })

  test('of a capture that failed for good declines it, and keeps what went back', () => {
    const givenUp: Voiding = { ...voiding, declineAs: 'gateway_failed' }
    const answer = { kind: 'refunded', refundedMinor: 1299 } as const
    expect(settleVoid(givenUp, answer, policy)).toMatchObject({
      payment: { status: 'declined', code: 'gateway_failed', refundedMinor: 1299 },
      outcome: { kind: 'declined', code: 'gateway_failed' },
    })
  })

  test('refused makes it a failed refund, which is asked again with a longer and longer wait', () => {
    const first = settleVoid(refunding, { kind: 'refund-refused' }, policy)
    expect(first).toEqual({
      payment: { ...refunding, status: 'refund_failed', attempts: 1, dueInMs: 2500, letter },
      outcome: { kind: 'refund-failed', failure: { kind: 'refused', reason: expect.any(String) } },
    })
    const second = settleVoid(first?.payment ?? refunding, { kind: 'refund-refused' }, policy)
    expect(second?.payment).toMatchObject({ status: 'refund_failed', dueInMs: 5000 })
    const tenth = { ...refundFailed, attempts: 10 }
    expect(settleVoid(tenth, silence, policy)?.payment).toMatchObject({ dueInMs: 30_000 })
  })

  test('unknown is asked again, and becomes a failed refund when it stays so', () => {
    expect(settleVoid(refunding, silence, policy)).toEqual({
      payment: { ...refunding, attempts: 1, dueInMs: 50 },
    })
    expect(settleVoid({ ...refunding, attempts: 2 }, silence, policy)).toMatchObject({
      payment: { status: 'refund_failed' },
      outcome: { kind: 'refund-failed', failure: { kind: 'silent', reason: 'timeout' } },
    })
  })

  test('that fails is told once each time that it is begun', () => {
    const refused = { kind: 'refund-refused' } as const
    expect(settleVoid(refundFailed, refused, policy)).not.toHaveProperty('outcome')
    expect(settleVoid(refundFailed, silence, policy)).not.toHaveProperty('outcome')
    const again = beginUndo(refundFailed, cancelling)
    if (again.kind !== 'begin') throw new Error('not begun')
    expect(settleVoid(again.payment, refused, policy)).toHaveProperty('outcome')
  })

  test('that heals a failed refund ends its dead letter, whoever tried it again', () => {
    const answer = { kind: 'refunded', refundedMinor: 1299 } as const
    const dead: RefundFailed = { ...refundFailed, letter }
    const redriven = retryRefund(dead, 'redrive-1')
    const asked = beginUndo(dead, { ...cancelling, messageId: 'm-3' })
    const voided = retryRefund({ ...dead, chargeId: null, declineAs: 'gateway_failed' }, null)
    if (asked.kind !== 'begin' || !redriven || !voided) throw new Error('not begun')
    expect(redriven).toMatchObject({ status: 'refunding', dueInMs: 0, cause: dead.cause })
    expect(voided).toMatchObject({ status: 'voiding', declineAs: 'gateway_failed' })
    const healed = [dead, redriven, asked.payment, voided].map((payment) =>
      settleVoid(payment, answer, policy),
    )
    expect(healed.map((settled) => settled?.resolved)).toEqual([
      letter,
      { redriveId: 'redrive-1' },
      letter,
      letter,
    ])
    for (const settled of healed) expect(settled?.payment).not.toHaveProperty('letter')
    expect(settleVoid(refunding, answer, policy)).not.toHaveProperty('resolved')
  })

  test('of a redriven refund that fails again keeps its letter, with the redrive', () => {
    const redriven = retryRefund({ ...refundFailed, letter }, 'redrive-1')
    const refused = { kind: 'refund-refused' } as const
    const failed = settleVoid(redriven ?? refunding, refused, policy)?.payment
    expect(failed).toMatchObject({ status: 'refund_failed', letter: { redriveId: 'redrive-1' } })
  })

  test.each(others('refund_failed'))(
    'a payment that is $status has no refund to retry',
    (payment) => {
      expect(retryRefund(payment, null)).toBeUndefined()
    },
  )

  test('heals a failed refund', () => {
    const answer = { kind: 'refunded', refundedMinor: 1299 } as const
    expect(settleVoid(refundFailed, answer, policy)?.payment.status).toBe('refunded')
  })

  test.each(others('voiding', 'refunding', 'refund_failed'))(
    'that comes when the payment is $status changes nothing',
    (payment) => {
      expect(settleVoid(payment, { kind: 'voided' }, policy)).toBeUndefined()
    },
  )
})

test('exactly the payments that wait for the gateway are called for', () => {
  expect(all.map((payment) => [payment.status, callFor(payment)])).toEqual([
    ['requested', 'charge'],
    ['captured', undefined],
    ['declined', undefined],
    ['voiding', 'void'],
    ['void', undefined],
    ['refunding', 'void'],
    ['refunded', undefined],
    ['refund_failed', 'void'],
  ])
})
