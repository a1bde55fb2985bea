import { type CancelReason, type Coordination, type Priority } from '@edp/event-schemas'
import { unreachable } from '@edp/runtime'

/** What never changes about an order once it is placed. */
interface OrderFacts {
  readonly orderId: string
  readonly customerId: string
  readonly coordination: Coordination
  readonly priority: Priority
  readonly currency: string
  readonly amountMinor: number
  readonly placedAt: Date
  /** Still pending then, it is cancelled. */
  readonly dueAt: Date
}

/** Accepted; stock and payment are under way. */
export interface PendingOrder extends OrderFacts {
  readonly status: 'pending'
}

/** Will not be fulfilled; what was done for it is being undone. */
export interface CancellingOrder extends OrderFacts {
  readonly status: 'cancelling'
  readonly cancelReason: CancelReason
}

/** Paid and set aside: it will be shipped, and nothing can undo it. */
export interface ConfirmedOrder extends OrderFacts {
  readonly status: 'confirmed'
  readonly endedAt: Date
}

/** Everything that was done for it has been undone. */
export interface CancelledOrder extends OrderFacts {
  readonly status: 'cancelled'
  readonly cancelReason: CancelReason
  readonly endedAt: Date
}

export type Order = PendingOrder | CancellingOrder | ConfirmedOrder | CancelledOrder
export type OrderStatus = Order['status']

/**
 * Why an input changed nothing.
 * - `repeated`: the order is, or has been, where the input leads.
 * - `late`: the order has gone the other way.
 * - `early`: nothing that would lead to this input has been decided yet.
 */
export type Note = 'repeated' | 'late' | 'early'

/** What an order answers to an input: its next state, or why it stays as it is. */
export type Verdict<After extends Order> =
  | { readonly changed: true; readonly order: After }
  | { readonly changed: false; readonly note: Note }

/** The payment was captured, and stock had been reserved before that: pending → confirmed. */
export function confirm(order: Order, now: Date): Verdict<ConfirmedOrder> {
  switch (order.status) {
    case 'pending':
      return { changed: true, order: { ...order, status: 'confirmed', endedAt: now } }
    case 'confirmed':
      return unchanged('repeated')
    // The capture is undone by the refund that order.cancelling asked for.
    case 'cancelling':
    case 'cancelled':
      return unchanged('late')
    default:
      return unreachable(order)
  }
}

/** Stock or payment was refused, the customer changed their mind, or time is up: pending → cancelling. */
export function startCancelling(order: Order, reason: CancelReason): Verdict<CancellingOrder> {
  switch (order.status) {
    case 'pending':
      return { changed: true, order: { ...order, status: 'cancelling', cancelReason: reason } }
    // The first reason stands.
    case 'cancelling':
    case 'cancelled':
      return unchanged('repeated')
    case 'confirmed':
      return unchanged('late')
    default:
      return unreachable(order)
  }
}

/** Money and stock are back: cancelling → cancelled. */
export function finishCancelling(order: Order, now: Date): Verdict<CancelledOrder> {
  switch (order.status) {
    case 'cancelling':
      return { changed: true, order: { ...order, status: 'cancelled', endedAt: now } }
    case 'cancelled':
      return unchanged('repeated')
    case 'confirmed':
      return unchanged('late')
    // Nobody releases stock before order.cancelling; should it happen, the deadline still ends the order.
    case 'pending':
      return unchanged('early')
    default:
      return unreachable(order)
  }
}

function unchanged(note: Note): { readonly changed: false; readonly note: Note } {
  return { changed: false, note }
}
