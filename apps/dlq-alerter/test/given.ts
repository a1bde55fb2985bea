import {
  type Contract,
  compose,
  type Coordination,
  type MessageDeadLetteredV1,
  messageDeadLetteredV1,
  type MessageResolvedV1,
  messageResolvedV1,
  messageWaitingV1,
  newId,
  newMessageId,
  orderPlacedV1,
  outgoing,
  toHeaders,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'

/** The service whose consumers fail in the tests. */
export const failing = 'inventory-service.kafka'

let offset = 0

/** A fact over Kafka, each time under a new id. */
export function said<Body extends { messageId: string }>(
  contract: Contract<Body>,
  body: Body,
  {
    coordination = 'choreographed',
    now = new Date(),
  }: { coordination?: Coordination; now?: Date } = {},
): IncomingMessage {
  const composed = compose(outgoing(contract, body.messageId, body), {
    source: 'inventory-service',
    namespace: 'test',
    now,
    coordination,
  })
  offset += 1
  return {
    transport: 'kafka',
    position: `${composed.destination}/0@${offset}`,
    headers: composed.headers,
    body: Buffer.from(composed.payload),
  }
}

/** The body of an order that cannot be read: its id is a number. */
export function deadOrder(orderId: string): Record<string, unknown> {
  return {
    orderId,
    customerId: 'customer-1',
    lines: [{ sku: 'cup', quantity: -2, unitPriceMinor: 100 }],
    payment: { amountMinor: 200, currency: 'EUR', paymentRef: 'tok_ok' },
    priority: 'standard',
  }
}

/** The body of a dead letter: an order with a quantity that is not one. */
export function deadBody(differently: Partial<MessageDeadLetteredV1> = {}): MessageDeadLetteredV1 {
  const orderId = newMessageId()
  const body = JSON.stringify(deadOrder(orderId))
  const at = new Date().toISOString()
  return {
    consumer: failing,
    messageId: newMessageId(),
    source: 'kafka',
    position: 'test.order.events/3@1207',
    type: orderPlacedV1.type,
    key: orderId,
    correlationId: orderId,
    causationId: null,
    traceparent: null,
    content: {
      headers: { ce_type: orderPlacedV1.type },
      body,
      encoding: 'utf8',
      bytes: Buffer.byteLength(body),
    },
    reason: 'poison',
    error: { code: 'poison', message: 'cannot read body.lines.0.quantity', stack: 'at x.ts:1' },
    attempts: 0,
    firstFailedAt: at,
    lastFailedAt: at,
    fingerprint: 'order.placed poison',
    redriveId: null,
    ...differently,
  }
}

/** A consumer says that it cannot handle a message. */
export function died(
  body: MessageDeadLetteredV1,
  options?: Parameters<typeof said>[2],
): IncomingMessage {
  return said(messageDeadLetteredV1, body, options)
}

/** A consumer says that a letter is no more. */
export function resolved(
  { consumer, messageId }: { consumer: string; messageId: string },
  differently: Partial<MessageResolvedV1> = {},
  options?: Parameters<typeof said>[2],
): IncomingMessage {
  const body = { consumer, messageId, outcome: 'applied' as const, redriveId: null }
  return said(messageResolvedV1, { ...body, ...differently }, options)
}

/** A consumer says how many messages wait behind a letter. */
export function waiting(
  { consumer, messageId }: { consumer: string; messageId: string },
  count: number,
): IncomingMessage {
  return said(messageWaitingV1, { consumer, messageId, key: 'key', waiting: count })
}

/** Bytes on the topic of dead letters. */
export function garbage(
  body: string | Buffer,
  headers: Record<string, string> = {},
): IncomingMessage {
  offset += 1
  return {
    transport: 'kafka',
    position: `test.dead-letters/0@${offset}`,
    headers,
    body: Buffer.from(body),
  }
}

/** A command as RabbitMQ hands it over that dead-lettered it. */
export function brokerDead(
  options: {
    queue?: string
    reason?: string
    messageId?: string
    diedAt?: Date
    body?: string | Buffer
    headers?: Record<string, string>
  } = {},
): IncomingMessage {
  const {
    queue = 'test.inventory.commands',
    reason = 'delivery_limit',
    diedAt = new Date(),
  } = options
  const orderId = newMessageId()
  const death = {
    queue,
    reason,
    count: 1,
    exchange: 'test.commands',
    time: { '!': 'timestamp', value: Math.floor(diedAt.getTime() / 1000) },
  }
  const headers = toHeaders('rabbitmq', {
    id: options.messageId ?? newMessageId(),
    source: 'order-service',
    type: 'stock.reserve.v1',
    subject: orderId,
    time: new Date().toISOString(),
    datacontenttype: 'application/json',
    correlationid: orderId,
    coordination: 'orchestrated',
  })
  return {
    transport: 'rabbitmq',
    position: `test.dlq@${newId()}`,
    headers: { ...headers, 'x-death': JSON.stringify([death]), ...options.headers },
    body: Buffer.from(options.body ?? JSON.stringify({ orderId })),
  }
}
