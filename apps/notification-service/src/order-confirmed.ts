import type { OrderConfirmedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { causeOf } from './cause.ts'
import { customerAddress } from './domain/customer-address.ts'
import { type Notification, notificationId } from './domain/notification.ts'
import type { NotificationRows } from './rows.ts'

/** The customer is told at once, and asked for a review later; unless the order was cancelled and this fact comes late. */
export function orderConfirmed(options: {
  emailDomain: string
  reviewDelayMs: number
}): MessageHandler<OrderConfirmedV1, NotificationRows> {
  return {
    keys: ({ body: { orderId } }) => ({
      notifications: [
        notificationId(orderId, 'confirmation'),
        notificationId(orderId, 'review-request'),
        notificationId(orderId, 'cancellation'),
      ],
    }),

    decide: ({ envelope, body }, { notifications }) => {
      const { orderId, customerId, amountMinor, currency } = body
      const known = (['confirmation', 'cancellation'] as const).some((kind) =>
        notifications.has(notificationId(orderId, kind)),
      )
      if (known) return {}
      const items = body.lines.map(({ sku, quantity }) => ({ sku, quantity }))
      const shared = {
        orderId,
        recipient: customerAddress(customerId, options.emailDomain),
        status: 'pending',
        cause: causeOf(envelope),
      } as const
      const confirmation: Notification = {
        ...shared,
        id: notificationId(orderId, 'confirmation'),
        content: { kind: 'confirmation', customerId, items, amountMinor, currency },
        dueInMs: 0,
      }
      const reviewRequest: Notification = {
        ...shared,
        id: notificationId(orderId, 'review-request'),
        content: { kind: 'review-request', customerId, items },
        dueInMs: options.reviewDelayMs,
      }
      return { changed: { notifications: [confirmation, reviewRequest] } }
    },
  }
}
