import { describe, expect, test } from 'vitest'
import {
  type Envelope,
  newMessageId,
  type OrderCancelledV1,
  type OrderConfirmedV1,
} from '@edp/event-schemas'
import { type Notification, notificationId } from './domain/notification.ts'
import { orderCancelled } from './order-cancelled.ts'
import { orderConfirmed } from './order-confirmed.ts'

const orderId = newMessageId()
const now = new Date()
const options = { emailDomain: 'customers.example', reviewDelayMs: 3_600_000 }
const confirmed: OrderConfirmedV1 = {
  orderId,
  customerId: 'ada',
  lines: [{ sku: 'moka-pot', quantity: 2, unitPriceMinor: 1299 }],
  amountMinor: 2598,
  currency: 'EUR',
}
const cancelled: OrderCancelledV1 = { orderId, customerId: 'ada', reason: 'customer-request' }

function envelope(type: string): Envelope {
  return {
    id: newMessageId(),
    source: 'order-service',
    type,
    subject: orderId,
    time: now.toISOString(),
    datacontenttype: 'application/json',
    correlationid: orderId,
    coordination: 'orchestrated',
  }
}

function decide(
  fact: 'confirmed' | 'cancelled',
  given: readonly Notification[] = [],
): readonly Notification[] {
  const rows = { notifications: new Map(given.map((one) => [one.id, one])) }
  const decision =
    fact === 'confirmed'
      ? orderConfirmed(options).decide(
          { envelope: envelope('order.confirmed.v1'), body: confirmed },
          rows,
          now,
        )
      : orderCancelled(options).decide(
          { envelope: envelope('order.cancelled.v1'), body: cancelled },
          rows,
          now,
        )
  return decision.changed?.notifications ?? []
}

const shown = (notifications: readonly Notification[]) =>
  notifications.map(({ content: { kind }, status, dueInMs }) => `${kind} ${status} ${dueInMs}`)

describe('a confirmed order', () => {
  test('is told at once, and asked about later', () => {
    expect(shown(decide('confirmed'))).toEqual([
      'confirmation pending 0',
      'review-request pending 3600000',
    ])
  })

  test('is told once, under an id that its fact alone makes', () => {
    const [first] = decide('confirmed')
    expect(first).toMatchObject({
      id: notificationId(orderId, 'confirmation'),
      recipient: 'ada@customers.example',
    })
    expect(decide('confirmed', decide('confirmed'))).toEqual([])
  })

  test('is not told when it was cancelled before this fact came', () => {
    expect(decide('confirmed', decide('cancelled'))).toEqual([])
  })
})

describe('a cancelled order', () => {
  test('is told at once', () => {
    expect(shown(decide('cancelled'))).toEqual(['cancellation pending 0'])
    expect(decide('cancelled', decide('cancelled'))).toEqual([])
  })

  test('is told nothing else that was still to be sent', () => {
    const pending = decide('confirmed')
    const [confirmation, reviewRequest] = pending
    if (!confirmation || !reviewRequest) throw new Error('two notifications are expected')
    const sent: Notification[] = [{ ...confirmation, status: 'sent' }, reviewRequest]
    expect(shown(decide('cancelled', sent))).toEqual([
      'cancellation pending 0',
      'review-request cancelled 3600000',
    ])
  })
})
