import type { CancelReason, Coordination } from '@edp/event-schemas'
import { v5 as uuidOf } from 'uuid'

/** What a customer, or for digests the operators, are told by e-mail. */
export const kinds = ['confirmation', 'cancellation', 'review-request', 'digest'] as const
export type Kind = (typeof kinds)[number]

/** `pending`: to be sent, now or later; `dead`: given up, a dead letter stands for it. */
export const statuses = ['pending', 'sent', 'cancelled', 'dead'] as const
export type Status = (typeof statuses)[number]

/** A line of an order, for the reader. */
export interface Item {
  readonly sku: string
  readonly quantity: number
}

/** What the e-mail is made of. */
export type Content =
  | {
      readonly kind: 'confirmation'
      readonly customerId: string
      readonly items: readonly Item[]
      readonly amountMinor: number
      readonly currency: string
    }
  | { readonly kind: 'cancellation'; readonly customerId: string; readonly reason: CancelReason }
  | {
      readonly kind: 'review-request'
      readonly customerId: string
      readonly items: readonly Item[]
    }
  | {
      readonly kind: 'digest'
      readonly since: string
      readonly until: string
      readonly counts: Counts
    }

/** How many notifications there were, by kind and status. */
export type Counts = readonly {
  readonly kind: Kind
  readonly status: Status
  readonly count: number
}[]

/** The message that a notification comes from; null for a digest, which comes from the clock. */
export interface Cause {
  readonly messageId: string
  readonly coordination: Coordination
  readonly traceparent: string | undefined
}

/** One e-mail that is owed, was sent, or is owed no more. */
export interface Notification {
  /** Also the id of its job, and in a header of its e-mail. */
  readonly id: string
  readonly orderId: string | null
  readonly recipient: string
  readonly content: Content
  readonly status: Status
  readonly dueInMs: number
  readonly cause: Cause | null
}

// Of this system alone: ids of the same name elsewhere are others.
const idSpace = '6ad2b2f6-0d0f-4c19-9d3c-5b3f0a4f6e57'

/** There is one notification of a kind for an order: the id is made of both, so that a fact that comes again finds its row. */
export function notificationId(orderId: string, kind: Kind): string {
  return uuidOf(`${orderId}/${kind}`, idSpace)
}

/** There is one digest for each time at which one is due. */
export function digestId(until: Date): string {
  return uuidOf(`digest/${until.toISOString()}`, idSpace)
}

/** Told no more, unless it was. */
export function cancel(notification: Notification): Notification | undefined {
  return notification.status === 'pending' ? { ...notification, status: 'cancelled' } : undefined
}
