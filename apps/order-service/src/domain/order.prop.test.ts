import fc from 'fast-check'
import { expect, test } from 'vitest'
import { confirm, finishCancelling, type Order, startCancelling, type Verdict } from './order.ts'

const placed: Order = {
  orderId: '019ca8f0-0000-7000-8000-000000000001',
  customerId: 'ada',
  status: 'pending',
  coordination: 'choreographed',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 1200,
  placedAt: new Date(0),
  dueAt: new Date(300_000),
}

const inputs = {
  captured: (order: Order): Verdict<Order> => confirm(order, new Date(1000)),
  refused: (order: Order): Verdict<Order> => startCancelling(order, 'out-of-stock'),
  cancelled: (order: Order): Verdict<Order> => startCancelling(order, 'customer-request'),
  overdue: (order: Order): Verdict<Order> => startCancelling(order, 'deadline-passed'),
  released: (order: Order): Verdict<Order> => finishCancelling(order, new Date(2000)),
}
const input = fc.constantFrom(...Object.values(inputs))

/** Every state that an order takes, the first one included. */
function history(all: readonly ((order: Order) => Verdict<Order>)[]): Order[] {
  const states = [placed]
  for (const decide of all) {
    const verdict = decide(states.at(-1) ?? placed)
    if (verdict.changed) states.push(verdict.order)
  }
  return states
}

test('an order is confirmed or cancelled, never both, and nothing changes after that', () => {
  const paths = new Set<string>()
  fc.assert(
    fc.property(fc.array(input, { maxLength: 12 }), (all) => {
      const path = history(all).map((order) => order.status)
      paths.add(path.join(' → '))
      expect(['pending', 'pending → confirmed', 'pending → cancelling', fullCancel]).toContain(
        path.join(' → '),
      )
    }),
    { numRuns: 2000 },
  )
  // The property would hold for an order that never moves: every path must have been taken.
  expect(paths.size).toBe(4)
})

const fullCancel = 'pending → cancelling → cancelled'

test('an input that comes twice changes nothing the second time', () => {
  fc.assert(
    fc.property(fc.array(input, { maxLength: 8 }), input, (before, decide) => {
      const once = history([...before, decide])
      expect(history([...before, decide, decide])).toEqual(once)
    }),
  )
})

test('what an order is about never changes', () => {
  fc.assert(
    fc.property(fc.array(input, { maxLength: 8 }), (all) => {
      for (const { orderId, customerId, currency, amountMinor, placedAt, dueAt } of history(all)) {
        expect({ orderId, customerId, currency, amountMinor, placedAt, dueAt }).toEqual({
          orderId: placed.orderId,
          customerId: placed.customerId,
          currency: placed.currency,
          amountMinor: placed.amountMinor,
          placedAt: placed.placedAt,
          dueAt: placed.dueAt,
        })
      }
    }),
  )
})
