import { enqueue } from '@edp/outbox'
import { type Database, traceparentFrom, type Tx } from '@edp/runtime'
import { lockDueOrders, readClock, saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import { type CancellingOrder, startCancelling } from './domain/order.ts'
import { orderCancelling } from './order-messages.ts'
import { serviceName } from './service-name.ts'
import { happened, sent, type TimelineEntry } from './timeline.ts'

/**
 * Starts to cancel pending choreographed orders whose time is up (an orchestrated one has the deadline of its saga), one batch in one transaction; gives back how many there were. Orders
 * that another process or a message has locked are passed over: the next run finds them if they are still pending.
 */
export async function cancelOverdue(
  { database, namespace }: { database: Database; namespace: string },
  batchMax: number,
): Promise<number> {
  return database.transaction(async (tx) => {
    const [due, now] = await Promise.all([lockDueOrders(tx, batchMax), readClock(tx)])
    const cancelling = due.flatMap((order) => {
      const verdict = startCancelling(order, 'deadline-passed')
      return verdict.changed ? [verdict.order] : []
    })
    saveOrders(tx, cancelling)
    insertTimeline(
      tx,
      cancelling.flatMap((order) => announce(tx, order, { namespace, now })),
    )
    return due.length
  })
}

function announce(
  tx: Tx,
  order: CancellingOrder,
  { namespace, now }: { namespace: string; now: Date },
): TimelineEntry[] {
  const { orderId, coordination, cancelReason: reason } = order
  const traceparent = traceparentFrom()
  const origin = { source: serviceName, namespace, now, coordination, traceparent }
  const messages = enqueue(tx, [orderCancelling(order)], origin)
  return [
    happened(orderId, 'deadline.passed', now),
    ...messages.map((message) => sent(message, now, { reason })),
  ]
}
