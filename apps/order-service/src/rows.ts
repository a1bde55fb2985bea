import type { ComposedMessage, PricedLine } from '@edp/event-schemas'
import type { AllChanged, RowStore } from '@edp/messaging'
import { lockOrders, readLines, saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import type { Order } from './domain/order.ts'
import { type SeenMessage, sent as noteSent, type TimelineEntry } from './timeline.ts'

/** The lines of an order, as a handler needs them. */
export interface OrderLines {
  readonly orderId: string
  readonly lines: readonly PricedLine[]
}

/** What messages need in memory. Lines and timeline are never updated, so they are not locked. */
export interface OrderTables {
  orders: Order
  lines: OrderLines
  /** Only written. */
  timeline: SeenMessage
}

/** How a batch of messages reads and writes. */
export const orderRows: RowStore<OrderTables> = {
  keyOf: {
    orders: (order) => order.orderId,
    lines: (lines) => lines.orderId,
    timeline: (entry) => entry.messageId,
  },
  load: async (tx, keys) => {
    const [orders, lines] = await Promise.all([
      lockOrders(tx, keys.orders),
      readLines(tx, keys.lines),
    ])
    return { orders, lines: linesByOrder(lines), timeline: new Map() }
  },
  save: async (tx, changed, sent) => {
    saveOrders(tx, changed.orders)
    insertTimeline(tx, timelineOf(changed, sent))
  },
}

function linesByOrder(lines: ReadonlyMap<string, PricedLine[]>): Map<string, OrderLines> {
  return new Map([...lines].map(([orderId, of]) => [orderId, { orderId, lines: of }]))
}

/** What was received, in the order of the message ids, each followed by what it made us send. */
function timelineOf(
  changed: AllChanged<OrderTables>,
  sent: readonly ComposedMessage[],
): TimelineEntry[] {
  const orders = new Map(changed.orders.map((order) => [order.orderId, order]))
  const answers = Map.groupBy(
    sent.map((message) => ({ message, order: orders.get(message.key) })),
    ({ message }) => noteSent(message, new Date(0)).causationId,
  )
  return changed.timeline.flatMap((entry) => [
    entry,
    ...(answers.get(entry.messageId) ?? []).map(({ message, order }) =>
      noteSent(message, entry.at, reasonOf(order)),
    ),
  ])
}

function reasonOf(order: Order | undefined): { reason: string } | null {
  return order && 'cancelReason' in order ? { reason: order.cancelReason } : null
}
