import {
  type BodyOf,
  type Contract,
  newId,
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
  stockReleaseRepliedV1,
  stockReserveRepliedV1,
} from '@edp/event-schemas'
import type { Decision } from '@edp/messaging'
import type { ActiveState, SagaState } from '@edp/saga'
import type { SagaRecord } from '@edp/saga/postgres'
import { describe, expect, test } from 'vitest'
import { rabbitmqConsumer } from './consumers.ts'
import type { Order, PendingOrder } from './domain/order.ts'
import type { OrderTables } from './rows.ts'
import { orderSagas } from './sagas.ts'

const now = new Date('2026-03-01T12:00:30Z')
const orderId = '019ca8f0-0000-7000-8000-000000000001'
const lines = [{ sku: 'moka-pot', quantity: 2, unitPriceMinor: 3900 }]
const payment = { amountMinor: 7800, currency: 'EUR', paymentRef: 'tok_ok' }

const pending: PendingOrder = {
  orderId,
  customerId: 'ada',
  status: 'pending',
  coordination: 'orchestrated',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 7800,
  placedAt: new Date('2026-03-01T12:00:00Z'),
  dueAt: new Date('2026-03-01T12:05:00Z'),
}
const cancelling: Order = { ...pending, status: 'cancelling', cancelReason: 'customer-request' }
const confirmed: Order = { ...pending, status: 'confirmed', endedAt: now }

const facts = {
  context: { orderId, lines: [{ sku: 'moka-pot', quantity: 2 }], payment },
  version: 2,
  deadlineAt: pending.dueAt.getTime(),
  skipped: [],
}
const waiting = { attempt: 1, dueAt: now.getTime() + 5000, silentMs: 0 }
const cause = { kind: 'cancel', step: 'charge', reason: 'customer-request' } as const

const reserving: ActiveState<unknown> = {
  ...facts,
  ...waiting,
  status: 'running',
  step: 'reserve',
  direction: 'do',
  cause: null,
}
const charging: ActiveState<unknown> = { ...reserving, step: 'charge' }
const refunding: ActiveState<unknown> = {
  ...facts,
  ...waiting,
  status: 'compensating',
  step: 'charge',
  direction: 'undo',
  cause,
}
const releasing: ActiveState<unknown> = { ...refunding, step: 'reserve' }

const charged = { chargeId: 'ch_1', amountMinor: 7800, currency: 'EUR' }
const sold = { lines: [{ sku: 'moka-pot', quantity: 2 }] }
const back = { amountMinor: 7800, currency: 'EUR' }

describe('given an order whose stock is being reserved', () => {
  test('ok charges the card', () => {
    const decision = decide(reserving, pending, stockReserveRepliedV1, answer('reserve', sold))
    expect(sentBy(decision)).toEqual(['payment.capture.v1 charge/do #1'])
    expect(decision.messages?.[0]?.body).toEqual({ orderId, payment })
    expect(decision.changed?.sagas).toMatchObject([{ state: { step: 'charge', version: 3 } }])
    expect(decision.changed?.orders).toBeUndefined()
  })

  test('a refusal gives the order up and cancels it at once: nothing is to be undone', () => {
    const refused = { ...command('reserve'), outcome: 'refused' as const, reason: 'out-of-stock' }
    const decision = decide(reserving, pending, stockReserveRepliedV1, refused)
    expect(sentBy(decision)).toEqual(['order.cancelling.v1', 'order.cancelled.v1'])
    expect(decision.changed?.orders).toMatchObject([
      { status: 'cancelled', cancelReason: 'out-of-stock', endedAt: now },
    ])
    expect(decision.changed?.sagas).toMatchObject([{ state: { status: 'compensated' } }])
  })
})

describe('given an order whose card is being charged', () => {
  test('ok confirms it, by the clock of the database, and says what was bought', () => {
    const decision = decide(charging, pending, paymentCaptureRepliedV1, answer('charge', charged))
    expect(decision.changed?.orders).toEqual([{ ...pending, status: 'confirmed', endedAt: now }])
    expect(decision.messages).toMatchObject([
      { contract: { type: 'order.confirmed.v1' }, body: { lines, amountMinor: 7800 } },
    ])
    expect(decision.changed?.sagaLog).toMatchObject([
      { seq: 6, note: 'done', actor: 'a-participant' },
      { seq: 7, note: 'completed', actor: 'local' },
    ])
  })

  test('ok with another amount is a fault, and not a confirmed order', () => {
    const wrong = answer('charge', { ...charged, amountMinor: 7799 })
    expect(() => decide(charging, pending, paymentCaptureRepliedV1, wrong)).toThrow('7799')
  })

  test('ok to an order that somebody gave up behind the saga’s back undoes everything', () => {
    const decision = decide(
      charging,
      cancelling,
      paymentCaptureRepliedV1,
      answer('charge', charged),
    )
    expect(sentBy(decision)).toEqual(['payment.refund.v1 charge/undo #1'])
    expect(decision.changed?.orders).toBeUndefined()
  })

  test('ok to an order that is confirmed already completes the saga and announces nothing twice', () => {
    const decision = decide(charging, confirmed, paymentCaptureRepliedV1, answer('charge', charged))
    expect(sentBy(decision)).toEqual([])
    expect(decision.changed?.sagas).toMatchObject([{ state: { status: 'completed' } }])
  })

  test('a decline releases the stock', () => {
    const declined = { ...command('charge'), outcome: 'refused' as const, reason: 'card_declined' }
    const decision = decide(charging, pending, paymentCaptureRepliedV1, declined)
    expect(sentBy(decision)).toEqual(['order.cancelling.v1', 'stock.release.v1 reserve/undo #1'])
    expect(decision.changed?.orders).toMatchObject([{ cancelReason: 'payment-declined' }])
  })
})

describe('given an order that is being undone', () => {
  test('the refund is followed by the release', () => {
    const undone = { ...answer('charge', back), direction: 'undo' as const }
    const decision = decide(refunding, cancelling, paymentRefundRepliedV1, undone)
    expect(sentBy(decision)).toEqual(['stock.release.v1 reserve/undo #1'])
  })

  test('a failed refund is shown to a person and releases nothing', () => {
    const failed = {
      ...command('charge'),
      direction: 'undo' as const,
      outcome: 'failed' as const,
      reason: 'gateway_refused',
    }
    const decision = decide(refunding, cancelling, paymentRefundRepliedV1, failed)
    expect(sentBy(decision)).toEqual([])
    expect(decision.changed?.sagas).toMatchObject([
      { state: { status: 'needs_human', trouble: 'failed' } },
    ])
    expect(decision.changed?.timeline?.[0]?.detail).toMatchObject({ note: 'needs-human' })
  })

  test('the release ends it', () => {
    const undone = { ...answer('reserve', sold), direction: 'undo' as const }
    const decision = decide(releasing, cancelling, stockReleaseRepliedV1, undone)
    expect(sentBy(decision)).toEqual(['order.cancelled.v1'])
    expect(decision.changed?.orders).toEqual([{ ...cancelling, status: 'cancelled', endedAt: now }])
  })

  test('a late ok to the charge is noted, and nothing else changes', () => {
    const late = decide(refunding, cancelling, paymentCaptureRepliedV1, answer('charge', charged))
    expect(sentBy(late)).toEqual([])
    expect(late.changed?.sagas).toMatchObject([{ state: refunding, seq: 6 }])
    expect(late.changed?.timeline?.[0]?.detail).toMatchObject({ note: 'late' })
  })
})

test('an answer to a saga that nobody knows is noted, and needs no order', () => {
  const decision = decide(undefined, pending, stockReserveRepliedV1, answer('reserve', sold))
  expect(Object.keys(decision.changed ?? {})).toEqual(['timeline'])
  expect(decision.changed?.timeline?.[0]).toMatchObject({
    orderId,
    detail: { note: 'unknown-saga' },
  })
})

test('an answer to a saga of a version that is not registered concerns everything', () => {
  const record = { ...recordOf(reserving), definitionVersion: 2 }
  expect(() => decideOn(record, pending, stockReserveRepliedV1, answer('reserve', sold))).toThrow(
    expect.objectContaining({ retry: 'transient-everything' }),
  )
})

test('the payment token stays out of the timeline', () => {
  const { changed } = decide(reserving, pending, stockReserveRepliedV1, answer('reserve', sold))
  expect(JSON.stringify(changed?.timeline)).not.toContain(payment.paymentRef)
})

function command(step: string) {
  return { sagaId: orderId, step, direction: 'do' as const, attempt: 1 }
}

function answer<Result>(step: string, result: Result) {
  return { ...command(step), outcome: 'ok' as const, result }
}

function recordOf(state: SagaState<unknown>): SagaRecord {
  return {
    id: orderId,
    definition: 'order-fulfilment',
    definitionVersion: 1,
    businessKey: orderId,
    state,
    seq: 5,
    startedAt: pending.placedAt,
    stepAt: pending.placedAt,
    changedAt: pending.placedAt,
    now,
  }
}

function decide<C extends Contract>(
  state: SagaState<unknown> | undefined,
  order: Order,
  contract: C,
  body: BodyOf<C>,
): Decision<OrderTables> {
  return decideOn(state && recordOf(state), order, contract, body)
}

/** What an answer brings about, given a saga and its order. The process's clock is another one than the database's. */
function decideOn(
  saga: SagaRecord | undefined,
  order: Order,
  contract: Contract,
  body: unknown,
): Decision<OrderTables> {
  const entry = rabbitmqConsumer(orderSagas.registry).handlers.get(contract.name)
  const binding = entry?.bind(
    {
      id: newId(),
      source: 'a-participant',
      type: contract.type,
      subject: orderId,
      time: now.toISOString(),
      datacontenttype: 'application/json',
      correlationid: orderId,
      coordination: 'orchestrated',
    },
    body,
  )
  if (!binding?.ok) throw new Error(`not bound: ${JSON.stringify(binding)}`)
  expect(binding.bound.keys).toEqual({ sagas: [orderId], orders: [orderId], lines: [orderId] })
  return binding.bound.decide(
    {
      sagas: new Map(saga && [[orderId, saga]]),
      orders: new Map([[orderId, order]]),
      lines: new Map([[orderId, { orderId, lines }]]),
      timeline: new Map(),
      sagaLog: new Map(),
    },
    new Date('2030-01-01T00:00:00Z'),
  )
}

function sentBy({ messages = [] }: Decision<OrderTables>): string[] {
  return messages.map(({ contract, command: of }) =>
    of ? `${contract.type} ${of.step}/${of.direction} #${of.attempt}` : contract.type,
  )
}
