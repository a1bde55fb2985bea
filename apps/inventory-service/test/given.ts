import { randomUUID } from 'node:crypto'
import {
  addressedTo,
  type CommandHeaders,
  type Contract,
  compose,
  type Coordination,
  messageRedriveV1,
  newMessageId,
  type OrderPlacedV1,
  orderConfirmedV1,
  orderPlacedV1,
  outgoing,
  paymentRefundedV1,
  stockReleaseV1,
  stockReserveV1,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'

/** How a message may differ from one of a choreographed order. */
export type Differently = { coordination?: Coordination }

/** The lines of an order, short: `{ cup: 2, pot: 1 }`. */
export type Wanted = Readonly<Record<string, number>>

export const customerId = 'customer-1'

export function newOrderId(): string {
  return newMessageId()
}

export function placedBody(orderId: string, wanted: Wanted): OrderPlacedV1 {
  const lines = Object.entries(wanted).map(([sku, quantity]) => ({
    sku,
    quantity,
    unitPriceMinor: 100,
  }))
  const amountMinor = lines.reduce((sum, line) => sum + line.quantity * 100, 0)
  return {
    orderId,
    customerId,
    lines,
    payment: { amountMinor, currency: 'EUR', paymentRef: 'tok_ok' },
    priority: 'standard',
  }
}

export function placed(orderId: string, wanted: Wanted, differently?: Differently) {
  return delivered(orderPlacedV1, placedBody(orderId, wanted), differently)
}

export function confirmed(orderId: string, wanted: Wanted, differently?: Differently) {
  const { lines, payment } = placedBody(orderId, wanted)
  const { amountMinor, currency } = payment
  const body = { orderId, customerId, lines, amountMinor, currency }
  return delivered(orderConfirmedV1, body, differently)
}

export function refunded(orderId: string, differently?: Differently) {
  return delivered(paymentRefundedV1, { orderId, amountMinor: 0, currency: 'EUR' }, differently)
}

/** An attempt of `stock.reserve` for an order. */
export function reserve(orderId: string, wanted: Wanted, attempt = 1): IncomingMessage {
  const { payment, lines } = placedBody(orderId, wanted)
  const body = { orderId, payment, lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) }
  const command = commandHeaders(orderId, 'do', attempt)
  return delivered(stockReserveV1, body, { coordination: 'orchestrated', command })
}

/** An attempt of `stock.release` for an order. */
export function release(orderId: string, attempt = 1): IncomingMessage {
  const command = commandHeaders(orderId, 'undo', attempt)
  return delivered(stockReleaseV1, { orderId }, { coordination: 'orchestrated', command })
}

function commandHeaders(sagaid: string, direction: 'do' | 'undo', attempt: number) {
  return { sagaid, step: 'reserve', direction, attempt }
}

/** A message as its broker delivers it, each time under a new id. */
export function delivered<Body extends { orderId: string }>(
  contract: Contract<Body>,
  body: Body,
  { coordination = 'choreographed', command }: Differently & { command?: CommandHeaders } = {},
): IncomingMessage {
  const composed = compose(outgoing(contract, body.orderId, body, command), {
    source: 'test',
    namespace: 'test',
    now: new Date(),
    coordination,
    causationId: 'cause-1',
  })
  return {
    transport: composed.transport,
    position: `${composed.destination}/0@0`,
    headers: composed.headers,
    body: Buffer.from(composed.payload),
  }
}

/** A redrive of a dead command with a corrected body. */
export function redriveOf(messageId: string, body: string): IncomingMessage {
  const contract = addressedTo(messageRedriveV1, 'inventory-service')
  const consumer = 'inventory-service.rabbitmq'
  const redriveId = randomUUID()
  const command = { consumer, messageId, redriveId, by: 'ada', body, message: null }
  const { transport, headers, payload } = compose(outgoing(contract, messageId, command), {
    source: 'dlq-alerter',
    namespace: 'test',
    now: new Date(),
    coordination: 'orchestrated',
  })
  return { transport, headers, body: Buffer.from(payload), position: 'redrive@1' }
}
