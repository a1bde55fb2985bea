import {
  type CancelReason,
  type Contract,
  type ComposedMessage,
  compose,
  newMessageId,
  orderCancelledV1,
  orderConfirmedV1,
  orderPlacedV1,
  outgoing,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'

/** When and where something happened. */
export interface At {
  readonly time: string
  readonly namespace?: string
}

const customerId = 'ada'

export const placed = (at: At, amountMinor: number, currency = 'EUR') =>
  fact(orderPlacedV1, at, (orderId) => ({
    orderId,
    customerId,
    lines: [{ sku: 'cup', quantity: 1, unitPriceMinor: amountMinor }],
    payment: { amountMinor, currency, paymentRef: 'tok_ok' },
    priority: 'standard' as const,
  }))

export const confirmed = (at: At, amountMinor: number, currency = 'EUR') =>
  fact(orderConfirmedV1, at, (orderId) => ({
    orderId,
    customerId,
    lines: [{ sku: 'cup', quantity: 1, unitPriceMinor: amountMinor }],
    amountMinor,
    currency,
  }))

export const cancelled = (at: At, reason: CancelReason) =>
  fact(orderCancelledV1, at, (orderId) => ({ orderId, customerId, reason }))

/** A fact about an order of its own; each call is a new message. */
function fact<Body>(
  contract: Contract<Body>,
  { time, namespace = 'test' }: At,
  body: (orderId: string) => Body,
): ComposedMessage {
  const orderId = newMessageId()
  return compose(outgoing(contract, orderId, body(orderId)), {
    source: 'order-service',
    namespace,
    now: new Date(time),
    coordination: 'orchestrated',
  })
}

/** The message as Kafka delivers it. */
export function delivered({
  transport,
  headers,
  payload,
  destination,
}: ComposedMessage): IncomingMessage {
  return { transport, headers, body: Buffer.from(payload), position: `${destination}/0@0` }
}
