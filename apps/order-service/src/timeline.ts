import { type ComposedMessage, headerPrefix, type Message } from '@edp/event-schemas'
import type { Note as SagaNote } from '@edp/saga'
import type { Note, Order } from './domain/order.ts'
import { serviceName } from './service-name.ts'

/** What is shown of an entry beside its type; never what is secret, such as the payment token. */
export type TimelineDetail = Readonly<Record<string, unknown>>

/** One thing that happened to an order, as this service saw it. */
export interface TimelineEntry {
  readonly orderId: string
  readonly at: Date
  /** The type of a message, or what happened without one. */
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
  message: Message<{ readonly orderId: string } | { readonly sagaId: string }>,
  at: Date,
  options: { detail?: TimelineDetail; note?: Note | 'unknown-order' | SagaNote } = {},
): SeenMessage {
  const { envelope, body } = message
  const { detail, note } = options
  return {
    orderId: 'orderId' in body ? body.orderId : body.sagaId,
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

/**
 * What is shown of a message of our own: of a command which attempt of which step, of a fact why the order is given up, of both
 * that they are express.
 */
export function detailOfSent(
  message: ComposedMessage,
  order: Order | undefined,
): TimelineDetail | null {
  const { headers, transport } = message
  const detail = commandOfSent(message) ?? reasonOf(order)
  const priority = headers[`${headerPrefix[transport]}priority`]
  return priority === undefined ? detail : { ...detail, priority }
}

function commandOfSent({ headers, transport }: ComposedMessage): TimelineDetail | undefined {
  const prefix = headerPrefix[transport]
  const step = headers[`${prefix}step`]
  if (step === undefined) return undefined
  const direction = headers[`${prefix}direction`]
  return { step, direction, attempt: Number(headers[`${prefix}attempt`]) }
}

function reasonOf(order: Order | undefined): TimelineDetail | null {
  return order && 'cancelReason' in order ? { reason: order.cancelReason } : null
}

/** What can happen to an order without a message. */
export type Happening =
  | 'cancel.requested'
  | 'deadline.passed'
  | 'saga.needs-human'
  | 'operator.retry'
  | 'operator.skip'
  | 'operator.cancel'

/** Notes what came neither with a message nor as one: a customer's request, a deadline, an operator. */
export function happened(
  orderId: string,
  type: Happening,
  at: Date,
  detail: TimelineDetail | null = null,
): TimelineEntry {
  return {
    orderId,
    at,
    type,
    messageId: null,
    causationId: null,
    source: serviceName,
    detail,
  }
}
