import { enqueue } from '@edp/outbox'
import type { Database } from '@edp/runtime'
import { type OrderView, viewOrder } from './api.ts'
import { lockOrders, readClock, readLines, saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import { startCancelling } from './domain/order.ts'
import { orderCancelling } from './order-messages.ts'
import { serviceName } from './service-name.ts'
import { happened, sent } from './timeline.ts'

/** What became of a customer's wish to cancel. */
export type CancelOutcome =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'cancelling'; readonly order: OrderView }
  /** It was being cancelled, or had been, already. */
  | { readonly kind: 'already'; readonly order: OrderView }

/**
 * Starts to cancel an order, if it is still pending. A request that changes nothing leaves no trace: otherwise whoever repeats
 * it would make the timeline grow without end.
 */
export async function cancelOrder(
  { database, namespace }: { database: Database; namespace: string },
  orderId: string,
  traceparent: string,
): Promise<CancelOutcome> {
  return database.transaction(async (tx) => {
    const [orders, allLines, now] = await Promise.all([
      lockOrders(tx, [orderId]),
      readLines(tx, [orderId]),
      readClock(tx),
    ])
    const order = orders.get(orderId)
    if (order === undefined) return { kind: 'not-found' }
    const lines = allLines.get(orderId) ?? []
    const verdict = startCancelling(order, 'customer-request')
    if (!verdict.changed) {
      if (verdict.note === 'late') return { kind: 'confirmed' }
      return { kind: 'already', order: viewOrder(order, lines) }
    }
    const cancelling = verdict.order
    const { coordination, cancelReason: reason } = cancelling
    const origin = { source: serviceName, namespace, now, coordination, traceparent }
    const messages = enqueue(tx, [orderCancelling(cancelling)], origin)
    saveOrders(tx, [cancelling])
    insertTimeline(tx, [
      happened(orderId, 'cancel.requested', now),
      ...messages.map((message) => sent(message, now, { reason })),
    ])
    return { kind: 'cancelling', order: viewOrder(cancelling, lines) }
  })
}
