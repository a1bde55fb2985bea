import {
  type Contract,
  newMessageId,
  type Outgoing,
  paymentCaptureRepliedV1,
  paymentCaptureV1,
  paymentRefundedV1,
  paymentRefundRepliedV1,
  paymentRefundV1,
} from '@edp/event-schemas'
import type { Rows } from '@edp/messaging'
import { commandFor, formatStep, type LedgerRow, settle } from '@edp/saga/participant'
import { describe, expect, test } from 'vitest'
import { chargeStep } from './charge-step.ts'
import { type Cause, type Payment, request } from './domain/payment.ts'
import { paymentCapture } from './payment-capture.ts'
import { paymentRefund } from './payment-refund.ts'
import type { PaymentRows } from './rows.ts'

// Given rows, when a command, then a decision: plain objects, no database, no gateway.

const orderId = newMessageId()
const now = new Date()
const payment = { amountMinor: 1299, currency: 'EUR', paymentRef: 'tok_ok' }
const doStep = chargeStep(orderId, 'do')
const undoStep = chargeStep(orderId, 'undo')
const fresh: LedgerRow = { ...doStep, fresh: true, outcome: 'started', reply: null }
const captured = { orderId, chargeId: 'ch_1', amountMinor: 1299, currency: 'EUR' }
const declined = { orderId, code: 'card_declined' }
const nothing = { orderId, amountMinor: 0, currency: 'EUR' }
const refunded = { orderId, amountMinor: 1299, currency: 'EUR' }

function given(steps: LedgerRow[], paid?: Payment): Rows<PaymentRows> {
  return {
    steps: new Map(steps.map((row) => [formatStep(row), row])),
    payments: new Map(paid ? [[orderId, paid]] : []),
  }
}

function command<Body>(contract: Contract<Body>, body: Body, headers: object) {
  return {
    envelope: {
      id: newMessageId(),
      source: 'order-service',
      type: contract.type,
      subject: orderId,
      time: now.toISOString(),
      datacontenttype: 'application/json',
      correlationid: orderId,
      coordination: 'orchestrated',
      ...headers,
    },
    body,
  } as const
}

function causeOf(id: string, attempt: number): Cause {
  const traceparent = undefined
  return { messageId: id, coordination: 'orchestrated', traceparent, attempt, priority: 'standard' }
}

describe('payment.capture', () => {
  const message = command(paymentCaptureV1, { orderId, payment }, commandFor(doStep, 3))
  const when = (rows: Rows<PaymentRows>) => paymentCapture.decide(message, rows, now)
  const reply = (answer: object): Outgoing => ({
    contract: paymentCaptureRepliedV1,
    subject: orderId,
    body: { sagaId: orderId, step: 'charge', direction: 'do', attempt: 3, ...answer },
    command: commandFor(doStep, 3),
  })

  test('names its step', () => {
    expect(paymentCapture.keys(message)).toEqual({ steps: [`${orderId}/charge/do`] })
  })

  test('with the headers of another command can never be handled', () => {
    const wrong = command(paymentCaptureV1, { orderId, payment }, commandFor(undoStep, 1))
    expect(() => paymentCapture.keys(wrong)).toThrow(`is for ${orderId}/charge/do`)
  })

  test('writes down that the customer is to be charged, and answers nothing yet', () => {
    expect(when(given([fresh]))).toEqual({
      changed: {
        steps: [settle(doStep, 'started')],
        payments: [request({ orderId, ...payment, cause: causeOf(message.envelope.id, 3) })],
      },
    })
  })

  test('that comes again while it is under way is not answered yet', () => {
    expect(when(given([settle(doStep, 'started')]))).toEqual({})
  })

  test('that comes again later is answered again, as the attempt that it is, and no fact is told twice', () => {
    const { orderId: _, ...result } = captured
    expect(when(given([settle(doStep, 'ok', captured)]))).toEqual({
      messages: [reply({ outcome: 'ok', result })],
    })
    expect(when(given([settle(doStep, 'refused', declined)]))).toEqual({
      messages: [reply({ outcome: 'refused', reason: 'card_declined' })],
    })
  })

  test('that comes after its undo is refused', () => {
    expect(when(given([settle(doStep, 'tombstone')]))).toEqual({
      messages: [reply({ outcome: 'refused', reason: 'cancelled' })],
    })
  })
})

describe('payment.refund', () => {
  const body = { orderId, currency: 'EUR' }
  const message = command(paymentRefundV1, body, commandFor(undoStep, 2))
  const cause = causeOf(message.envelope.id, 2)
  const when = (rows: Rows<PaymentRows>) => paymentRefund.decide(message, rows, now)
  const reply = (amountMinor: number): Outgoing => ({
    contract: paymentRefundRepliedV1,
    subject: orderId,
    body: {
      sagaId: orderId,
      step: 'charge',
      direction: 'undo',
      attempt: 2,
      outcome: 'ok',
      result: { amountMinor, currency: 'EUR' },
    },
    command: commandFor(undoStep, 2),
  })
  const requested = request({ orderId, ...payment, cause: causeOf('m-1', 1) })
  const { dueInMs: _, ...terms } = requested
  const paid: Payment = { ...terms, status: 'captured', chargeId: 'ch_1' }

  test('names its step and the payment', () => {
    expect(paymentRefund.keys(message)).toEqual({
      steps: [`${orderId}/charge/undo`],
      payments: [orderId],
    })
  })

  test('with the headers of another command can never be handled', () => {
    const wrong = command(paymentRefundV1, body, { sagaid: orderId, step: 'charge' })
    expect(() => paymentRefund.keys(wrong)).toThrow(`is for ${orderId}/charge/undo`)
  })

  test('of what never came leaves a tombstone, answers and tells that nothing went back', () => {
    expect(when(given([fresh]))).toEqual({
      changed: { steps: [settle(doStep, 'tombstone'), settle(undoStep, 'ok', nothing)] },
      messages: [{ contract: paymentRefundedV1, subject: orderId, body: nothing }, reply(0)],
    })
  })

  test('of what was declined leaves the decline as it is', () => {
    expect(when(given([settle(doStep, 'refused', declined)]))).toEqual({
      changed: { steps: [settle(undoStep, 'ok', nothing)] },
      messages: [{ contract: paymentRefundedV1, subject: orderId, body: nothing }, reply(0)],
    })
  })

  test('of what was captured, or may be, begins the undo and answers nothing yet', () => {
    expect(when(given([settle(doStep, 'ok', captured)], paid))).toMatchObject({
      changed: { payments: [{ status: 'refunding', cause, dueInMs: 0 }] },
    })
    expect(when(given([settle(doStep, 'started')], requested))).toMatchObject({
      changed: { payments: [{ status: 'voiding', cause, dueInMs: 0 }] },
    })
  })

  test('that comes again while it is under way is not answered yet', () => {
    const refunding: Payment = {
      ...requested,
      status: 'refunding',
      chargeId: 'ch_1',
      declineAs: null,
    }
    expect(when(given([settle(doStep, 'ok', captured)], refunding))).toEqual({})
  })

  test('that comes again after it had failed tries again', () => {
    const failed: Payment = {
      ...requested,
      status: 'refund_failed',
      chargeId: 'ch_1',
      declineAs: null,
      dueInMs: 9000,
    }
    expect(when(given([settle(doStep, 'ok', captured)], failed))).toMatchObject({
      changed: { payments: [{ status: 'refunding', cause, dueInMs: 0 }] },
    })
  })

  test('that comes again later is answered again, and no fact is told twice', () => {
    const steps = [settle(doStep, 'ok', captured), settle(undoStep, 'ok', refunded)]
    expect(when(given(steps, paid))).toEqual({ messages: [reply(1299)] })
  })
})
