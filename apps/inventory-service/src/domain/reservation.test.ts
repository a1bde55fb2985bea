import { describe, expect, test } from 'vitest'
import { hold, release, type Reservation, ship } from './reservation.ts'
import type { StockItem } from './stock.ts'

const orderId = '01980000-0000-7000-8000-0000000000aa'
const lines = [
  { sku: 'cup', quantity: 2 },
  { sku: 'pot', quantity: 1 },
]

function stockOf(...items: readonly [sku: string, onHand: number, reserved: number][]) {
  return new Map<string, StockItem>(
    items.map(([sku, onHand, reserved]) => [sku, { sku, onHand, reserved }]),
  )
}

function reservation(status: Reservation['status']): Reservation {
  return { status, orderId, lines }
}

describe('holding', () => {
  test('reserves every line', () => {
    expect(hold(orderId, lines, stockOf(['cup', 10, 3], ['pot', 1, 0]))).toEqual({
      kind: 'held',
      reservation: { status: 'held', orderId, lines },
      stock: [
        { sku: 'cup', onHand: 10, reserved: 5 },
        { sku: 'pot', onHand: 1, reserved: 1 },
      ],
    })
  })

  test('reserves nothing when one line is short, and says which and what is left of it', () => {
    expect(hold(orderId, lines, stockOf(['cup', 10, 0], ['pot', 4, 4]))).toEqual({
      kind: 'short',
      shortages: [{ sku: 'pot', requested: 1, available: 0 }],
    })
  })

  test('has none of a SKU that is not known', () => {
    expect(hold(orderId, lines, stockOf(['pot', 4, 0]))).toEqual({
      kind: 'short',
      shortages: [{ sku: 'cup', requested: 2, available: 0 }],
    })
  })

  test('counts two lines of one SKU together', () => {
    const twice = [
      { sku: 'cup', quantity: 2 },
      { sku: 'cup', quantity: 2 },
    ]
    expect(hold(orderId, twice, stockOf(['cup', 3, 0]))).toEqual({
      kind: 'short',
      shortages: [{ sku: 'cup', requested: 2, available: 1 }],
    })
    expect(hold(orderId, twice, stockOf(['cup', 4, 0]))).toMatchObject({
      kind: 'held',
      stock: [{ sku: 'cup', onHand: 4, reserved: 4 }],
    })
  })

  test('leaves the stock that it was given as it is', () => {
    const stock = stockOf(['cup', 10, 0], ['pot', 1, 0])
    hold(orderId, lines, stock)
    expect(stock).toEqual(stockOf(['cup', 10, 0], ['pot', 1, 0]))
  })
})

describe('releasing', () => {
  test('gives back what is held', () => {
    expect(release(reservation('held'), stockOf(['cup', 10, 5], ['pot', 1, 1]))).toEqual({
      reservation: reservation('released'),
      stock: [
        { sku: 'cup', onHand: 10, reserved: 3 },
        { sku: 'pot', onHand: 1, reserved: 0 },
      ],
    })
  })

  test('does nothing twice', () => {
    expect(release(reservation('released'), stockOf())).toBeUndefined()
  })

  test('of what was shipped is a broken invariant', () => {
    expect(() => release(reservation('shipped'), stockOf())).toThrow('was shipped')
  })
})

describe('shipping', () => {
  test('takes what is held out of the warehouse', () => {
    expect(ship(reservation('held'), stockOf(['cup', 10, 5], ['pot', 1, 1]))).toEqual({
      reservation: reservation('shipped'),
      stock: [
        { sku: 'cup', onHand: 8, reserved: 3 },
        { sku: 'pot', onHand: 0, reserved: 0 },
      ],
    })
  })

  test('does nothing twice', () => {
    expect(ship(reservation('shipped'), stockOf())).toBeUndefined()
  })

  test('of what was released is a broken invariant', () => {
    expect(() => ship(reservation('released'), stockOf())).toThrow('was released')
  })

  test('of a SKU without a stock row is a broken invariant', () => {
    expect(() => ship(reservation('held'), stockOf(['cup', 10, 5]))).toThrow('no stock row of pot')
  })
})
