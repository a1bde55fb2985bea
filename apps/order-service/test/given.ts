import {
  type Contract,
  type Coordination,
  compose,
  outgoing,
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockReservedV1,
  stockShippedV1,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'

/** What the tests order, choreographed: 1 × 1200 + 2 × 3900 of the sample catalogue. */
export const cupAndPots = {
  customerId: 'ada',
  currency: 'EUR',
  lines: [
    { sku: 'espresso-cup', quantity: 1 },
    { sku: 'moka-pot', quantity: 2 },
  ],
  paymentToken: 'tok_ok',
  coordination: 'choreographed',
}
export const amountMinor = 9000
const lines = cupAndPots.lines
const currency = 'EUR'

/** What the participants say about an order, each time under a new message id. */
export const events = {
  reserved: (orderId: string) =>
    event(stockReservedV1, {
      orderId,
      lines,
      payment: { amountMinor, currency, paymentRef: 'tok_ok' },
    }),
  rejected: (orderId: string) =>
    event(stockRejectedV1, {
      orderId,
      reason: 'out-of-stock',
      shortages: [{ sku: 'moka-pot', requested: 2, available: 1 }],
    }),
  captured: (orderId: string) =>
    event(paymentCapturedV1, { orderId, chargeId: 'ch_1', amountMinor, currency }),
  declined: (orderId: string) => event(paymentDeclinedV1, { orderId, code: 'card_declined' }),
  refunded: (orderId: string) => event(paymentRefundedV1, { orderId, amountMinor, currency }),
  released: (orderId: string) => event(stockReleasedV1, { orderId, lines }),
  shipped: (orderId: string) => event(stockShippedV1, { orderId, lines }),
}

let rowIds = 0

/** A participant's message, as its relay publishes it. */
export function event<Body extends { orderId: string }>(
  contract: Contract<Body>,
  body: Body,
  options: { namespace?: string; coordination?: Coordination } = {},
): OutboxRow {
  const { namespace = 'test', coordination = 'choreographed' } = options
  const { id: messageId, ...message } = compose(outgoing(contract, body.orderId, body), {
    source: 'test',
    namespace,
    now: new Date(),
    coordination,
    causationId: 'a-cause',
  })
  rowIds += 1
  return { id: rowIds, messageId, ...message }
}

/** The same message in another namespace. */
export function inNamespace(row: OutboxRow, namespace: string): OutboxRow {
  return { ...row, destination: row.destination.replace(/^test\./, `${namespace}.`) }
}

/** The message as Kafka delivers it. */
export function delivered(row: OutboxRow): IncomingMessage {
  return {
    transport: 'kafka',
    position: `${row.destination}/0@${row.id}`,
    headers: row.headers,
    body: Buffer.from(row.payload),
  }
}
