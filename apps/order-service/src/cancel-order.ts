import { enqueue } from '@edp/outbox'
import type { Database, Tx } from '@edp/runtime'
import { lockSagas, type SagaRecord } from '@edp/saga/postgres'
import { type OrderView, viewOrder } from './api.ts'
import { lockOrders, readClock, readLines, saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import { type CancellingOrder, type Order, startCancelling } from './domain/order.ts'
import { orchestrate } from './orchestrate.ts'
import { orderCancelling } from './order-messages.ts'
import type { OrderSagas } from './sagas.ts'
import { countOrchestrated, type OwnDecision, saveOrchestrated } from './save-orchestrated.ts'
import { serviceName } from './service-name.ts'
import { happened, sent } from './timeline.ts'

/** What became of a customer's wish to cancel. */
export type CancelOutcome =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'cancelling'; readonly order: OrderView }
  /** It was being cancelled, or had been, already. */
  | { readonly kind: 'already'; readonly order: OrderView }

export interface CancelOrderOptions {
  readonly database: Database
  readonly namespace: string
  readonly sagas: OrderSagas
}

/**
 * Starts to cancel an order, if it is still pending: an orchestrated one through its saga. A request that changes nothing leaves
 * no trace: otherwise whoever repeats it would make the timeline grow without end.
 */
export async function cancelOrder(
  options: CancelOrderOptions,
  orderId: string,
  traceparent: string,
): Promise<CancelOutcome> {
  const { database, namespace } = options
  const done: OwnDecision[] = []
  const outcome = await database.transaction(async (tx): Promise<CancelOutcome> => {
    // The saga before its order, as everywhere. A choreographed order has none.
    const [sagas, orders, allLines, now] = await Promise.all([
      lockSagas(tx, [orderId]),
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
    const saga = sagas.get(orderId)
    const request = { namespace, now, traceparent }
    if (saga === undefined) return cancelChoreographed(tx, { order: verdict.order, lines }, request)
    const decision = cancelSaga(options.sagas, { saga, order, lines }, request)
    saveOrchestrated(tx, [decision], request)
    done.push(decision)
    return { kind: 'cancelling', order: viewOrder(decision.order, lines) }
  })
  countOrchestrated(done)
  return outcome
}

interface Request {
  readonly namespace: string
  readonly now: Date
  readonly traceparent: string
}

type Lines = Parameters<typeof viewOrder>[1]

function cancelChoreographed(
  tx: Tx,
  { order, lines }: { order: CancellingOrder; lines: Lines },
  { namespace, now, traceparent }: Request,
): CancelOutcome {
  const { orderId, coordination, cancelReason: reason } = order
  const origin = { source: serviceName, namespace, now, coordination, traceparent }
  const messages = enqueue(tx, [orderCancelling(order)], origin)
  saveOrders(tx, [order])
  insertTimeline(tx, [
    happened(orderId, 'cancel.requested', now),
    ...messages.map((message) => sent(message, now, { reason })),
  ])
  return { kind: 'cancelling', order: viewOrder(order, lines) }
}

/** A pending order is before the pivot of its saga, so the saga turns. */
function cancelSaga(
  { registry }: OrderSagas,
  of: { saga: SagaRecord; order: Order; lines: Lines },
  { now, traceparent }: Request,
): OwnDecision {
  const input = { kind: 'cancel', reason: 'customer-request' } as const
  const decided = orchestrate(registry, of, { input, actor: 'customer', traceparent })
  const requested = happened(of.order.orderId, 'cancel.requested', now)
  return { ...decided, traceparent, happened: [requested] }
}
