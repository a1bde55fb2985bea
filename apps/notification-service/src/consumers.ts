import { orderCancelledV1, orderConfirmedV1 } from '@edp/event-schemas'
import { type Consumer, consumer, on } from '@edp/messaging'
import { orderCancelled } from './order-cancelled.ts'
import { orderConfirmed } from './order-confirmed.ts'
import { type NotificationRows, notificationRows } from './rows.ts'

export interface NotificationConsumerOptions {
  emailDomain: string
  reviewDelayMs: number
  /** Told after the commit that there may be jobs to add or remove. */
  afterCommit: () => void
}

/**
 * Every message that comes in over Kafka, of both styles. The name is the group, the inbox name and the redrive target. Any order
 * of an order's facts is right: `decide` sees to it.
 */
export function kafkaConsumer(options: NotificationConsumerOptions): Consumer<NotificationRows> {
  return consumer({
    name: 'notification-service.kafka',
    store: notificationRows,
    retry: {
      attemptsMax: 10,
      backoff: { baseMs: 1000, capMs: 60_000 },
      order: 'skip',
      unknownVersionMaxMs: 24 * 60 * 60 * 1000,
    },
    handlers: [
      on(orderConfirmedV1, orderConfirmed(options)),
      on(orderCancelledV1, orderCancelled(options)),
    ],
    afterCommit: options.afterCommit,
  })
}
