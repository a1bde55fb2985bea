import type { OrderCancelledV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { causeOf } from './cause.ts'
import { customerAddress } from './domain/customer-address.ts'
import { cancel, type Notification, notificationId } from './domain/notification.ts'
import type { NotificationRows } from './rows.ts'

/** The customer is told, before others are told anything else, and what was to be sent of the order no longer is. */
export function orderCancelled(options: {
  emailDomain: string
}): MessageHandler<OrderCancelledV1, NotificationRows> {
  return {
    keys: ({ body: { orderId } }) => ({
      notifications: [
        notificationId(orderId, 'confirmation'),
        notificationId(orderId, 'review-request'),
        notificationId(orderId, 'cancellation'),
      ],
    }),

    decide: ({ envelope, body: { orderId, customerId, reason } }, { notifications }) => {
      const id = notificationId(orderId, 'cancellation')
      if (notifications.has(id)) return {}
      const cancellation: Notification = {
        id,
        orderId,
        recipient: customerAddress(customerId, options.emailDomain),
        content: { kind: 'cancellation', customerId, reason },
        status: 'pending',
        dueInMs: 0,
        cause: causeOf(envelope),
      }
      const given = (['confirmation', 'review-request'] as const).flatMap((kind) => {
        const notification = notifications.get(notificationId(orderId, kind))
        return (notification && cancel(notification)) ?? []
      })
      return { changed: { notifications: [cancellation, ...given] } }
    },
  }
}
