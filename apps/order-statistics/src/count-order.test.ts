import { type Envelope, newMessageId, orderConfirmedV1 } from '@edp/event-schemas'
import { expect, test } from 'vitest'
import { countOrder, type StatisticsRows } from './count-order.ts'
import { kafkaConsumer } from './consumers.ts'
import { formatTally, type Tally } from './tally.ts'

const orderId = newMessageId()
const now = new Date('2030-01-01T00:00:00Z')

function messageAt(time: string, amountMinor = 250) {
  const envelope: Envelope = {
    id: newMessageId(),
    source: 'order-service',
    type: orderConfirmedV1.type,
    subject: orderId,
    time,
    datacontenttype: 'application/json',
    correlationid: orderId,
    coordination: 'orchestrated',
  }
  return { envelope, body: { currency: 'EUR', amountMinor } }
}

const handler = countOrder<{ currency: string; amountMinor: number }>(
  'confirmed',
  ({ currency, amountMinor }) => ({ label: currency, amountMinor }),
)
const minute = new Date('2026-01-02T03:04:00.000Z')
const key = { minute, kind: 'confirmed', label: 'EUR' } as const
const rowsOf = (...tallies: Tally[]) => {
  const rows: { [K in keyof StatisticsRows]: Map<string, StatisticsRows[K]> } = {
    tallies: new Map(tallies.map((one) => [formatTally(one), one])),
  }
  return rows
}

test('an order counts in the minute in which it happened, whenever it is read', () => {
  const message = messageAt('2026-01-02T03:04:59.999Z')
  expect(handler.keys(message)).toEqual({ tallies: [formatTally(key)] })
  expect(handler.decide(message, rowsOf(), now)).toEqual({
    changed: { tallies: [{ ...key, orders: 1, amountMinor: 250 }] },
  })
})

test('orders of one batch add up, and only those of one minute', () => {
  const first = { ...key, orders: 1, amountMinor: 250 }
  expect(handler.decide(messageAt('2026-01-02T03:04:00.000Z', 100), rowsOf(first), now)).toEqual({
    changed: { tallies: [{ ...key, orders: 2, amountMinor: 350 }] },
  })
  const next = { ...key, minute: new Date('2026-01-02T03:05:00.000Z') }
  expect(handler.decide(messageAt('2026-01-02T03:05:00.000Z', 100), rowsOf(first), now)).toEqual({
    changed: { tallies: [{ ...next, orders: 1, amountMinor: 100 }] },
  })
})

test('facts of both styles of saga are counted', () => {
  expect([...kafkaConsumer.handlers.values()].map(({ coordination }) => coordination)).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})
