import type { CancelReason, Message } from '@edp/event-schemas'
import type { Decision, Rows } from '@edp/messaging'
import { startCancelling } from './domain/order.ts'
import { orderCancelling } from './order-messages.ts'
import type { OrderTables } from './rows.ts'
import { seen, type TimelineDetail } from './timeline.ts'

/** What a participant's refusal brings about: the order is given up, unless that was decided before. */
export function decideRefusal(
  message: Message<{ readonly orderId: string }>,
  rows: Rows<OrderTables>,
  now: Date,
  refusal: { reason: CancelReason; detail: TimelineDetail },
): Decision<OrderTables> {
  const { reason, detail } = refusal
  const order = rows.orders.get(message.body.orderId)
  if (order === undefined) {
    return { changed: { timeline: [seen(message, now, { detail, note: 'unknown-order' })] } }
  }
  const verdict = startCancelling(order, reason)
  if (!verdict.changed) {
    return { changed: { timeline: [seen(message, now, { detail, note: verdict.note })] } }
  }
  return {
    changed: { orders: [verdict.order], timeline: [seen(message, now, { detail })] },
    messages: [orderCancelling(verdict.order)],
  }
}
