import { type ComposedMessage, headerPrefix, type Message } from '@edp/event-schemas'
import type { Note } from './domain/order.ts'
import { serviceName } from './service-name.ts'

/** What is shown of an entry beside its type; never what is secret, such as the payment token. */
export type TimelineDetail = Readonly<Record<string, unknown>>

/** One thing that happened to an order, as this service saw it. */
export interface TimelineEntry {
  readonly orderId: string
  readonly at: Date
  /** The type of a message, or `cancel.requested`, `deadline.passed`. */
  readonly type: string
  readonly messageId: string | null
  readonly causationId: string | null
  readonly source: string
  readonly detail: TimelineDetail | null
}

/** The entry of a message that was received. */
export interface SeenMessage extends TimelineEntry {
  readonly messageId: string
}

/** Notes a message that came in; `note` says why it changed nothing. */
export function seen(
  message: Message<{ readonly orderId: string }>,
  at: Date,
  options: { detail?: TimelineDetail; note?: Note | 'unknown-order' } = {},
): SeenMessage {
  const { envelope, body } = message
  const { detail, note } = options
  return {
    orderId: body.orderId,
    at,
    type: envelope.type,
    messageId: envelope.id,
    causationId: envelope.causationid ?? null,
    source: envelope.source,
    detail: note === undefined ? (detail ?? null) : { ...detail, note },
  }
}

/** Notes a message of our own. */
export function sent(
  message: ComposedMessage,
  at: Date,
  detail: TimelineDetail | null = null,
): TimelineEntry {
  const { id, key, type, headers, transport } = message
  const causationId = headers[`${headerPrefix[transport]}causationid`] ?? null
  return { orderId: key, at, type, messageId: id, causationId, source: serviceName, detail }
}

/** Notes what came neither with a message nor as one: a customer's request, a deadline. */
export function happened(
  orderId: string,
  type: 'cancel.requested' | 'deadline.passed',
  at: Date,
): TimelineEntry {
  return {
    orderId,
    at,
    type,
    messageId: null,
    causationId: null,
    source: serviceName,
    detail: null,
  }
}
