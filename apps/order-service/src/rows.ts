import type { ComposedMessage, PricedLine } from '@edp/event-schemas'
import type { AllChanged, RowStore } from '@edp/messaging'
import {
  insertSagaLog,
  lockSagas,
  type NewLogEntry,
  type SagaRecord,
  saveSagas,
} from '@edp/saga/postgres'
import { lockOrders, readLines, saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import type { Order } from './domain/order.ts'
import { detailOfSent, type SeenMessage, sent as noteSent, type TimelineEntry } from './timeline.ts'

/** The lines of an order, as a handler needs them. */
export interface OrderLines {
  readonly orderId: string
  readonly lines: readonly PricedLine[]
}

/** What messages need in memory. Lines and timeline are never updated, so they are not locked. */
export interface OrderTables {
  sagas: SagaRecord
  orders: Order
  lines: OrderLines
  /** Only written. */
  timeline: SeenMessage
  /** Only written. */
  sagaLog: NewLogEntry
}

/** How a batch of messages reads and writes. */
export const orderRows: RowStore<OrderTables> = {
  keyOf: {
    sagas: (saga) => saga.id,
    orders: (order) => order.orderId,
    lines: (lines) => lines.orderId,
    timeline: (entry) => entry.messageId,
    sagaLog: ({ sagaId, seq }) => `${sagaId}/${String(seq).padStart(10, '0')}`,
  },
  load: async (tx, keys) => {
    // In the order of the transaction rule: the saga before its order.
    const [sagas, orders, lines] = await Promise.all([
      lockSagas(tx, keys.sagas),
      lockOrders(tx, keys.orders),
      readLines(tx, keys.lines),
    ])
    return {
      sagas,
      orders,
      lines: linesByOrder(lines),
      timeline: new Map(),
      sagaLog: new Map(),
    }
  },
  save: async (tx, changed, sent) => {
    saveSagas(tx, changed.sagas)
    insertSagaLog(tx, changed.sagaLog)
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
      noteSent(message, entry.at, detailOfSent(message, order)),
    ),
  ])
}
