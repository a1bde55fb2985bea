import {
  type Envelope,
  type Message,
  newId,
  type PaymentCapturedV1,
  type PaymentDeclinedV1,
  type StockRejectedV1,
  type StockReleasedV1,
} from '@edp/event-schemas'
import type { Decision, MessageHandler, Rows } from '@edp/messaging'
import { type Order, startCancelling } from '../src/domain/order.ts'
import { orderCancelling } from '../src/order-messages.ts'
import { paymentCaptured } from '../src/payment-captured.ts'
import { paymentDeclined } from '../src/payment-declined.ts'
import type { OrderTables } from '../src/rows.ts'
import { stockRejected } from '../src/stock-rejected.ts'
import { stockReleased } from '../src/stock-released.ts'

/** The events that the order side acts on. */
export type OrderInput =
  | 'payment.captured'
  | 'payment.declined'
  | 'stock.rejected'
  | 'stock.released'

/** What becomes of the order, and which events are sent. */
export interface OrderStep {
  readonly order: Order
  readonly events: readonly string[]
}

const orderId = newId()
const now = new Date(0)
const lines = [{ sku: 'moka-pot', quantity: 1, unitPriceMinor: 100 }]
const envelope: Envelope = {
  id: newId(),
  source: 'explorer',
  type: 'any',
  subject: orderId,
  time: now.toISOString(),
  datacontenttype: 'application/json',
  correlationid: orderId,
  coordination: 'choreographed',
}

/** An order that was just placed. */
export const placed: Order = {
  orderId,
  customerId: 'ada',
  status: 'pending',
  coordination: 'choreographed',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 100,
  placedAt: now,
  dueAt: now,
}

const captured: PaymentCapturedV1 = {
  orderId,
  chargeId: 'ch_1',
  amountMinor: 100,
  currency: 'EUR',
}
const declined: PaymentDeclinedV1 = { orderId, code: 'card_declined' }
const rejected: StockRejectedV1 = { orderId, reason: 'out-of-stock', shortages: [] }
const released: StockReleasedV1 = { orderId, lines: [] }

/** What each event does, by the very functions that the consumer calls. */
const reactions: Record<OrderInput, (order: Order) => Decision<OrderTables>> = {
  'payment.captured': (order) => handle(paymentCaptured, captured, order),
  'payment.declined': (order) => handle(paymentDeclined, declined, order),
  'stock.rejected': (order) => handle(stockRejected, rejected, order),
  'stock.released': (order) => handle(stockReleased, released, order),
}

export function isOrderInput(event: string): event is OrderInput {
  return event in reactions
}

function handle<Body>(
  handler: MessageHandler<Body, OrderTables>,
  body: Body,
  order: Order,
): Decision<OrderTables> {
  const message: Message<Body> = { envelope, body }
  const rows: Rows<OrderTables> = {
    orders: new Map([[orderId, order]]),
    lines: new Map([[orderId, { orderId, lines }]]),
    timeline: new Map(),
    sagas: new Map(),
    sagaLog: new Map(),
  }
  return handler.decide(message, rows, now)
}

/** What an event makes of the order. */
export function receiveEvent(event: OrderInput, order: Order): OrderStep {
  const { changed, messages = [] } = reactions[event](order)
  return {
    order: changed?.orders?.[0] ?? order,
    events: messages.map((message) => message.contract.name),
  }
}

/** What the customer's wish, or the deadline, makes of the order: as the two use cases do it. */
export function giveUp(order: Order): OrderStep {
  const verdict = startCancelling(order, 'customer-request')
  if (!verdict.changed) return { order, events: [] }
  return { order: verdict.order, events: [orderCancelling(verdict.order).contract.name] }
}
