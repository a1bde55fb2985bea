import {
  type BodyOf,
  type Contract,
  type Coordination,
  newId,
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockReservedV1,
  stockShippedV1,
} from '@edp/event-schemas'
import type { Decision } from '@edp/messaging'
import { describe, expect, test } from 'vitest'
import { kafkaConsumer } from './consumers.ts'
import type { CancellingOrder, Order, PendingOrder } from './domain/order.ts'
import type { OrderTables } from './rows.ts'

const now = new Date('2026-03-01T12:00:30Z')
const orderId = '019ca8f0-0000-7000-8000-000000000001'
const lines = [{ sku: 'moka-pot', quantity: 2, unitPriceMinor: 3900 }]
const payment = { amountMinor: 7800, currency: 'EUR', paymentRef: 'tok_ok' }

const pending: PendingOrder = {
  orderId,
  customerId: 'ada',
  status: 'pending',
  coordination: 'choreographed',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 7800,
  placedAt: new Date('2026-03-01T12:00:00Z'),
  dueAt: new Date('2026-03-01T12:05:00Z'),
}
const cancelling: CancellingOrder = {
  ...pending,
  status: 'cancelling',
  cancelReason: 'customer-request',
}

const captured = { orderId, chargeId: 'ch_1', amountMinor: 7800, currency: 'EUR' }
const rejected = {
  orderId,
  reason: 'out-of-stock' as const,
  shortages: [{ sku: 'moka-pot', requested: 2, available: 1 }],
}

describe('given a pending order', () => {
  test('payment.captured confirms it and says what was bought', () => {
    const { changed, messages } = decide(pending, paymentCapturedV1, captured)
    expect(changed?.orders).toEqual([{ ...pending, status: 'confirmed', endedAt: now }])
    expect(messages).toMatchObject([
      {
        contract: { type: 'order.confirmed.v1' },
        subject: orderId,
        body: { orderId, customerId: 'ada', lines, amountMinor: 7800, currency: 'EUR' },
      },
    ])
  })

  test('a capture of another amount is a fault, and not a confirmed order', () => {
    const wrong = { ...captured, amountMinor: 7799 }
    expect(() => decide(pending, paymentCapturedV1, wrong)).toThrow('7799')
  })

  test('stock.rejected gives it up', () => {
    const { changed, messages } = decide(pending, stockRejectedV1, rejected)
    expect(changed?.orders).toMatchObject([{ status: 'cancelling', cancelReason: 'out-of-stock' }])
    expect(messages).toMatchObject([
      { contract: { type: 'order.cancelling.v1' }, body: { reason: 'out-of-stock' } },
    ])
  })

  test('payment.declined gives it up', () => {
    const declined = { orderId, code: 'card_declined' }
    const { changed, messages } = decide(pending, paymentDeclinedV1, declined)
    expect(changed?.orders).toMatchObject([
      { status: 'cancelling', cancelReason: 'payment-declined' },
    ])
    expect(messages).toMatchObject([
      { contract: { type: 'order.cancelling.v1' }, body: { reason: 'payment-declined' } },
    ])
  })

  test('stock.released is noted as early', () => {
    const decision = decide(pending, stockReleasedV1, { orderId, lines: [] })
    expect(noteOf(decision)).toBe('early')
  })
})

describe('given an order that is being cancelled', () => {
  test('stock.released ends it', () => {
    const { changed, messages } = decide(cancelling, stockReleasedV1, { orderId, lines: [] })
    expect(changed?.orders).toEqual([{ ...cancelling, status: 'cancelled', endedAt: now }])
    expect(messages).toMatchObject([
      {
        contract: { type: 'order.cancelled.v1' },
        body: { orderId, customerId: 'ada', reason: 'customer-request' },
      },
    ])
  })

  test('a late payment.captured changes nothing: its refund is under way', () => {
    expect(noteOf(decide(cancelling, paymentCapturedV1, captured))).toBe('late')
  })

  test('a rejection because of the undoing changes nothing', () => {
    const undone = { orderId, reason: 'undone' as const, shortages: [] }
    expect(noteOf(decide(cancelling, stockRejectedV1, undone))).toBe('repeated')
  })
})

describe('whatever the order is', () => {
  test.each([
    { contract: stockReservedV1, body: { orderId, lines, payment }, detail: null },
    { contract: stockShippedV1, body: { orderId, lines }, detail: null },
    {
      contract: paymentRefundedV1,
      body: { orderId, amountMinor: 7800, currency: 'EUR' },
      detail: { amountMinor: 7800, currency: 'EUR' },
    },
  ])('$contract.type needs no row and is noted only', ({ contract, body, detail }) => {
    const bound = bind(contract, body)
    expect(bound.keys).toEqual({})
    const decision = bound.decide(rowsOf(pending), now)
    expect(decision.changed?.orders ?? []).toEqual([])
    expect(decision.messages ?? []).toEqual([])
    expect(decision.changed?.timeline).toMatchObject([{ orderId, type: contract.type, detail }])
  })

  test('an event of an order that nobody here knows is noted and changes nothing', () => {
    for (const [contract, body] of [
      [paymentCapturedV1, captured],
      [paymentDeclinedV1, { orderId, code: 'card_declined' }],
      [stockRejectedV1, rejected],
      [stockReleasedV1, { orderId, lines: [] }],
    ] as const) {
      const decision = bind(contract, body).decide(rowsOf(undefined), now)
      expect(noteOf(decision)).toBe('unknown-order')
    }
  })

  test('the payment token stays out of the timeline', () => {
    const { changed } = decide(pending, stockReservedV1, { orderId, lines, payment })
    expect(JSON.stringify(changed)).not.toContain(payment.paymentRef)
  })
})

test.each([
  { contract: paymentCapturedV1, body: captured },
  { contract: paymentDeclinedV1, body: { orderId, code: 'card_declined' } },
  { contract: stockRejectedV1, body: rejected },
  { contract: stockReleasedV1, body: { orderId, lines: [] } },
])('an orchestrated $contract.type decides nothing: it needs no row and is noted', (one) => {
  const bound = bind(one.contract, one.body, 'orchestrated')
  expect(bound.keys).toEqual({})
  const { changed, messages } = bound.decide(rowsOf(pending), now)
  expect(Object.keys(changed ?? {})).toEqual(['timeline'])
  expect(changed?.timeline).toMatchObject([{ orderId, type: one.contract.type, detail: null }])
  expect(messages ?? []).toEqual([])
})

function bind(
  contract: Pick<Contract, 'name' | 'type'>,
  body: unknown,
  coordination: Coordination = 'choreographed',
) {
  const handler = kafkaConsumer.handlers.get(contract.name)
  const binding = handler?.bind(
    {
      id: newId(),
      source: 'test',
      type: contract.type,
      subject: orderId,
      time: now.toISOString(),
      datacontenttype: 'application/json',
      correlationid: orderId,
      coordination,
    },
    body,
  )
  if (!binding?.ok) throw new Error(`not bound: ${JSON.stringify(binding)}`)
  return binding.bound
}

function rowsOf(order: Order | undefined) {
  return {
    orders: new Map(order && [[orderId, order]]),
    lines: new Map(order && [[orderId, { orderId, lines }]]),
    timeline: new Map(),
    sagas: new Map(),
    sagaLog: new Map(),
  }
}

/** What a message brings about, given an order. */
function decide<C extends Contract>(
  order: Order,
  contract: C,
  body: BodyOf<C>,
): Decision<OrderTables> {
  return bind(contract, body).decide(rowsOf(order), now)
}

/** Why a decision changed nothing; fails when it changed something. */
function noteOf(decision: Decision<OrderTables>): unknown {
  expect(decision.changed?.orders ?? []).toEqual([])
  expect(decision.messages ?? []).toEqual([])
  expect(decision.changed?.timeline).toHaveLength(1)
  return decision.changed?.timeline?.[0]?.detail?.['note']
}
