import {
  type CommandHeaders,
  type Contract,
  newMessageId,
  type OrderConfirmedV1,
  type OrderPlacedV1,
  orderConfirmedV1,
  orderPlacedV1,
  type PaymentRefundedV1,
  paymentRefundedV1,
  stockRejectedV1,
  stockReleaseRepliedV1,
  stockReleaseV1,
  stockReleasedV1,
  stockReserveRepliedV1,
  stockReserveV1,
  stockReservedV1,
  stockShippedV1,
} from '@edp/event-schemas'
import type { Rows } from '@edp/messaging'
import { commandFor, formatStep, type LedgerRow, settle } from '@edp/saga/participant'
import { describe, expect, test } from 'vitest'
import type { Reservation } from './domain/reservation.ts'
import { orderConfirmed } from './order-confirmed.ts'
import { orderPlaced } from './order-placed.ts'
import { paymentRefunded } from './payment-refunded.ts'
import { reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'
import { stockRelease } from './stock-release.ts'
import { stockReserve } from './stock-reserve.ts'

// Given rows, when a message, then a decision: plain objects, no database.

const orderId = newMessageId()
const now = new Date()
const lines = [{ sku: 'cup', quantity: 2 }]
const payment = { amountMinor: 200, currency: 'EUR', paymentRef: 'tok_ok' }
const doStep = reserveStep(orderId, 'do')
const undoStep = reserveStep(orderId, 'undo')
const fresh: LedgerRow = { ...doStep, fresh: true, outcome: 'started', reply: null }

const placed: OrderPlacedV1 = {
  orderId,
  customerId: 'customer-1',
  lines: [{ sku: 'cup', quantity: 2, unitPriceMinor: 100 }],
  payment,
  priority: 'standard',
}
const refunded: PaymentRefundedV1 = { orderId, amountMinor: 200, currency: 'EUR' }
const confirmed: OrderConfirmedV1 = {
  orderId,
  customerId: 'customer-1',
  lines: placed.lines,
  amountMinor: 200,
  currency: 'EUR',
}

function given(rows: {
  steps?: LedgerRow[]
  reservation?: Reservation['status']
  cups?: [onHand: number, reserved: number]
}): Rows<InventoryRows> {
  const { steps = [], reservation, cups } = rows
  const held = reservation && { status: reservation, orderId, lines }
  return {
    steps: new Map(steps.map((row) => [formatStep(row), row])),
    reservations: new Map(held ? [[orderId, held]] : []),
    stock: new Map(cups ? [['cup', { sku: 'cup', onHand: cups[0], reserved: cups[1] }]] : []),
  }
}

function command<Body>(contract: Contract<Body>, body: Body, headers: CommandHeaders) {
  const { envelope } = message(contract, body)
  return { envelope: { ...envelope, coordination: 'orchestrated', ...headers }, body } as const
}

function message<Body>(contract: Contract<Body>, body: Body) {
  return {
    envelope: {
      id: newMessageId(),
      source: 'test',
      type: contract.type,
      subject: orderId,
      time: now.toISOString(),
      datacontenttype: 'application/json',
      correlationid: orderId,
      coordination: 'choreographed',
    },
    body,
  } as const
}

describe('order.placed', () => {
  const when = (rows: Rows<InventoryRows>) =>
    orderPlaced.decide(message(orderPlacedV1, placed), rows, now)

  test('names its step and its SKUs', () => {
    expect(orderPlaced.keys(message(orderPlacedV1, placed))).toEqual({
      steps: [`${orderId}/reserve/do`],
      stock: ['cup'],
    })
  })

  test('holds the lines', () => {
    const body = { orderId, lines, payment }
    expect(when(given({ steps: [fresh], cups: [3, 1] }))).toEqual({
      changed: {
        steps: [settle(doStep, 'ok', body)],
        reservations: [{ status: 'held', orderId, lines }],
        stock: [{ sku: 'cup', onHand: 3, reserved: 3 }],
      },
      messages: [{ contract: stockReservedV1, subject: orderId, body }],
    })
  })

  test('that is short changes nothing but its step', () => {
    const shortages = [{ sku: 'cup', requested: 2, available: 1 }]
    const body = { orderId, reason: 'out-of-stock', shortages }
    expect(when(given({ steps: [fresh], cups: [3, 2] }))).toEqual({
      changed: { steps: [settle(doStep, 'refused', body)] },
      messages: [{ contract: stockRejectedV1, subject: orderId, body }],
    })
  })

  test('that was answered before repeats the answer', () => {
    const body = { orderId, lines, payment }
    expect(when(given({ steps: [settle(doStep, 'ok', body)], cups: [3, 3] }))).toEqual({
      messages: [{ contract: stockReservedV1, subject: orderId, body }],
    })
  })

  test('that was undone before it came is rejected', () => {
    const body = { orderId, reason: 'undone', shortages: [] }
    expect(when(given({ steps: [settle(doStep, 'tombstone')], cups: [3, 0] }))).toEqual({
      messages: [{ contract: stockRejectedV1, subject: orderId, body }],
    })
  })

  test('whose step was begun and never settled is a fault', () => {
    expect(() => when(given({ steps: [settle(doStep, 'started')] }))).toThrow('not settled')
  })
})

describe('payment.refunded', () => {
  const when = (rows: Rows<InventoryRows>) =>
    paymentRefunded.decide(message(paymentRefundedV1, refunded), rows, now)

  test('releases what is held', () => {
    const body = { orderId, lines }
    const steps = [settle(doStep, 'ok', { orderId, lines, payment })]
    expect(when(given({ steps, reservation: 'held', cups: [3, 2] }))).toEqual({
      changed: {
        steps: [settle(undoStep, 'ok', body)],
        reservations: [{ status: 'released', orderId, lines }],
        stock: [{ sku: 'cup', onHand: 3, reserved: 0 }],
      },
      messages: [{ contract: stockReleasedV1, subject: orderId, body }],
    })
  })

  test.each([
    ['that has not come yet', fresh],
    ['that was rejected', settle(doStep, 'refused', {})],
  ])('of an order %s leaves a tombstone and answers', (_, step) => {
    const body = { orderId, lines: [] }
    expect(when(given({ steps: [step] }))).toEqual({
      changed: { steps: [settle(doStep, 'tombstone'), settle(undoStep, 'ok', body)] },
      messages: [{ contract: stockReleasedV1, subject: orderId, body }],
    })
  })

  test('that was answered before repeats the answer', () => {
    const body = { orderId, lines }
    const steps = [settle(doStep, 'ok', {}), settle(undoStep, 'ok', body)]
    expect(when(given({ steps, reservation: 'released', cups: [3, 0] }))).toEqual({
      messages: [{ contract: stockReleasedV1, subject: orderId, body }],
    })
  })
})

describe('stock.reserve', () => {
  const asked = command(stockReserveV1, { orderId, lines, payment }, commandFor(doStep, 2))
  const when = (rows: Rows<InventoryRows>) => stockReserve.decide(asked, rows, now)
  const reply = (answer: object) => ({
    contract: stockReserveRepliedV1,
    subject: orderId,
    body: { sagaId: orderId, step: 'reserve', direction: 'do', attempt: 2, ...answer },
    command: commandFor(doStep, 2),
  })
  const reserved = { orderId, lines, payment }

  test('names its step and its SKUs', () => {
    expect(stockReserve.keys(asked)).toEqual({ steps: [`${orderId}/reserve/do`], stock: ['cup'] })
  })

  test('with the headers of another command can never be handled', () => {
    const wrong = command(stockReserveV1, reserved, commandFor(undoStep, 1))
    expect(() => stockReserve.keys(wrong)).toThrow(`is for ${orderId}/reserve/do`)
  })

  test('holds the lines as order.placed does, tells everybody and answers', () => {
    const held = when(given({ steps: [fresh], cups: [3, 1] }))
    const likewise = orderPlaced.decide(
      message(orderPlacedV1, placed),
      given({ steps: [fresh], cups: [3, 1] }),
      now,
    )
    expect(held.changed).toEqual(likewise.changed)
    expect(held.messages).toEqual([
      { contract: stockReservedV1, subject: orderId, body: reserved },
      reply({ outcome: 'ok', result: { lines } }),
    ])
  })

  test('that is short is told to everybody, and refused', () => {
    const shortages = [{ sku: 'cup', requested: 2, available: 1 }]
    const body = { orderId, reason: 'out-of-stock', shortages }
    expect(when(given({ steps: [fresh], cups: [3, 2] }))).toEqual({
      changed: { steps: [settle(doStep, 'refused', body)] },
      messages: [
        { contract: stockRejectedV1, subject: orderId, body },
        reply({ outcome: 'refused', reason: 'out-of-stock' }),
      ],
    })
  })

  test('that comes again is answered again, and no fact is told twice', () => {
    const steps = [settle(doStep, 'ok', reserved)]
    expect(when(given({ steps, cups: [3, 3] }))).toEqual({
      messages: [reply({ outcome: 'ok', result: { lines } })],
    })
    const body = { orderId, reason: 'out-of-stock', shortages: [] }
    expect(when(given({ steps: [settle(doStep, 'refused', body)] }))).toEqual({
      messages: [reply({ outcome: 'refused', reason: 'out-of-stock' })],
    })
  })

  test('that was undone before it came is refused', () => {
    expect(when(given({ steps: [settle(doStep, 'tombstone')], cups: [3, 0] }))).toEqual({
      messages: [reply({ outcome: 'refused', reason: 'undone' })],
    })
  })
})

describe('stock.release', () => {
  const asked = command(stockReleaseV1, { orderId }, commandFor(undoStep, 5))
  const when = (rows: Rows<InventoryRows>) => stockRelease.decide(asked, rows, now)
  const reply = (released: typeof lines) => ({
    contract: stockReleaseRepliedV1,
    subject: orderId,
    body: {
      sagaId: orderId,
      step: 'reserve',
      direction: 'undo',
      attempt: 5,
      outcome: 'ok',
      result: { lines: released },
    },
    command: commandFor(undoStep, 5),
  })

  test('names its step and the reservation', () => {
    expect(stockRelease.keys(asked)).toEqual({
      steps: [`${orderId}/reserve/undo`],
      reservations: [orderId],
    })
  })

  test('with the headers of another command can never be handled', () => {
    const wrong = command(stockReleaseV1, { orderId }, commandFor(doStep, 1))
    expect(() => stockRelease.keys(wrong)).toThrow(`is for ${orderId}/reserve/undo`)
  })

  test('gives back what is held, tells everybody and answers', () => {
    const body = { orderId, lines }
    const steps = [settle(doStep, 'ok', { orderId, lines, payment })]
    expect(when(given({ steps, reservation: 'held', cups: [3, 2] }))).toEqual({
      changed: {
        steps: [settle(undoStep, 'ok', body)],
        reservations: [{ status: 'released', orderId, lines }],
        stock: [{ sku: 'cup', onHand: 3, reserved: 0 }],
      },
      messages: [{ contract: stockReleasedV1, subject: orderId, body }, reply(lines)],
    })
  })

  test('of what never came leaves a tombstone, and answers that nothing went back', () => {
    const body = { orderId, lines: [] }
    expect(when(given({ steps: [fresh] }))).toEqual({
      changed: { steps: [settle(doStep, 'tombstone'), settle(undoStep, 'ok', body)] },
      messages: [{ contract: stockReleasedV1, subject: orderId, body }, reply([])],
    })
  })

  test('that comes again is answered again, and no fact is told twice', () => {
    const steps = [settle(doStep, 'ok', {}), settle(undoStep, 'ok', { orderId, lines })]
    expect(when(given({ steps, reservation: 'released', cups: [3, 0] }))).toEqual({
      messages: [reply(lines)],
    })
  })
})

describe('order.confirmed', () => {
  const when = (rows: Rows<InventoryRows>) =>
    orderConfirmed.decide(message(orderConfirmedV1, confirmed), rows, now)

  test('ships what is held', () => {
    expect(when(given({ reservation: 'held', cups: [3, 2] }))).toEqual({
      changed: {
        reservations: [{ status: 'shipped', orderId, lines }],
        stock: [{ sku: 'cup', onHand: 1, reserved: 0 }],
      },
      messages: [{ contract: stockShippedV1, subject: orderId, body: { orderId, lines } }],
    })
  })

  test('of what was shipped does nothing', () => {
    expect(when(given({ reservation: 'shipped', cups: [1, 0] }))).toEqual({})
  })

  test('of what was released is a fault', () => {
    expect(() => when(given({ reservation: 'released', cups: [3, 0] }))).toThrow('was released')
  })
})
