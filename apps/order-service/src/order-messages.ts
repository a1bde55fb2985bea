import {
  type Outgoing,
  orderCancelledV1,
  orderCancellingV1,
  orderConfirmedV1,
  orderPlacedV1,
  outgoing,
  type PricedLine,
} from '@edp/event-schemas'
import type {
  CancelledOrder,
  CancellingOrder,
  ConfirmedOrder,
  PendingOrder,
} from './domain/order.ts'

/** The facts about an order that others learn: one for each state. */

export function orderPlaced(
  order: PendingOrder,
  lines: readonly PricedLine[],
  paymentToken: string,
): Outgoing {
  const { orderId, customerId, amountMinor, currency, priority } = order
  const payment = { amountMinor, currency, paymentRef: paymentToken }
  const body = { orderId, customerId, lines: [...lines], payment, priority }
  return outgoing(orderPlacedV1, orderId, body)
}

export function orderConfirmed(order: ConfirmedOrder, lines: readonly PricedLine[]): Outgoing {
  const { orderId, customerId, amountMinor, currency } = order
  const body = { orderId, customerId, lines: [...lines], amountMinor, currency }
  return outgoing(orderConfirmedV1, orderId, body)
}

export function orderCancelling(order: CancellingOrder): Outgoing {
  const { orderId, cancelReason, currency } = order
  return outgoing(orderCancellingV1, orderId, { orderId, reason: cancelReason, currency })
}

export function orderCancelled(order: CancelledOrder): Outgoing {
  const { orderId, customerId, cancelReason } = order
  return outgoing(orderCancelledV1, orderId, { orderId, customerId, reason: cancelReason })
}
