import { describe, expect, test } from 'vitest'
import { confirm, finishCancelling, type Order, startCancelling } from './order.ts'

const now = new Date('2026-03-01T12:00:30Z')
const earlier = new Date('2026-03-01T12:00:10Z')

const facts = {
  orderId: '019ca8f0-0000-7000-8000-000000000001',
  customerId: 'ada',
  coordination: 'choreographed',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 7800,
  placedAt: new Date('2026-03-01T12:00:00Z'),
  dueAt: new Date('2026-03-01T12:05:00Z'),
} as const

const pending: Order = { ...facts, status: 'pending' }
const cancelling: Order = { ...facts, status: 'cancelling', cancelReason: 'out-of-stock' }
const confirmed: Order = { ...facts, status: 'confirmed', endedAt: earlier }
const cancelled: Order = {
  ...facts,
  status: 'cancelled',
  cancelReason: 'out-of-stock',
  endedAt: earlier,
}

const unchanged = (note: 'repeated' | 'late' | 'early') => ({ changed: false, note })

describe('the payment was captured', () => {
  test('given a pending order, it is confirmed', () => {
    expect(confirm(pending, now)).toEqual({
      changed: true,
      order: { ...facts, status: 'confirmed', endedAt: now },
    })
  })

  test.each([
    [confirmed, 'repeated'],
    [cancelling, 'late'],
    [cancelled, 'late'],
  ] as const)('given $status, nothing changes', (order, note) => {
    expect(confirm(order, now)).toEqual(unchanged(note))
  })
})

describe('the order shall be cancelled', () => {
  test.each(['out-of-stock', 'payment-declined', 'customer-request', 'deadline-passed'] as const)(
    'given a pending order, it is being cancelled because of %s',
    (reason) => {
      expect(startCancelling(pending, reason)).toEqual({
        changed: true,
        order: { ...facts, status: 'cancelling', cancelReason: reason },
      })
    },
  )

  test.each([
    [confirmed, 'late'],
    [cancelling, 'repeated'],
    [cancelled, 'repeated'],
  ] as const)('given $status, nothing changes, and the first reason stands', (order, note) => {
    expect(startCancelling(order, 'customer-request')).toEqual(unchanged(note))
  })
})

describe('everything was undone', () => {
  test('given an order that is being cancelled, it is cancelled for the same reason', () => {
    expect(finishCancelling(cancelling, now)).toEqual({
      changed: true,
      order: { ...facts, status: 'cancelled', cancelReason: 'out-of-stock', endedAt: now },
    })
  })

  test.each([
    [pending, 'early'],
    [confirmed, 'late'],
    [cancelled, 'repeated'],
  ] as const)('given $status, nothing changes', (order, note) => {
    expect(finishCancelling(order, now)).toEqual(unchanged(note))
  })
})
