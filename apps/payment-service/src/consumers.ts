import {
  orderCancellingV1,
  paymentCaptureV1,
  paymentRefundV1,
  stockReservedV1,
} from '@edp/event-schemas'
import { type Consumer, consumer, on, type RetryPolicy } from '@edp/messaging'
import type { Payment } from './domain/payment.ts'
import { orderCancelling } from './order-cancelling.ts'
import { paymentCapture } from './payment-capture.ts'
import { paymentRefund } from './payment-refund.ts'
import { type PaymentRows, paymentRows } from './rows.ts'
import { stockReserved } from './stock-reserved.ts'

/** Any order is right: what was done and undone is in the step ledger. */
const retry: RetryPolicy = {
  attemptsMax: 10,
  backoff: { baseMs: 1000, capMs: 60_000 },
  order: 'skip',
  unknownVersionMaxMs: 24 * 60 * 60 * 1000,
}

export interface PaymentConsumerOptions {
  claimLeaseMs: number
  /** Told after the commit which payments changed: some of them want the gateway called. */
  afterCommit: (payments: readonly Payment[]) => void
}

/** Every message that comes in over Kafka. The name is the group, the inbox name and the redrive target. */
export function kafkaConsumer(options: PaymentConsumerOptions): Consumer<PaymentRows> {
  return consumer({
    name: 'payment-service.kafka',
    store: paymentRows(options),
    retry,
    handlers: [
      on(stockReservedV1, stockReserved, { only: 'choreographed' }),
      on(orderCancellingV1, orderCancelling, { only: 'choreographed' }),
    ],
    afterCommit: (changed) => options.afterCommit(changed.payments),
  })
}

/** Every command that comes in over RabbitMQ. The name is the inbox name and the redrive target. */
export function rabbitmqConsumer(options: PaymentConsumerOptions): Consumer<PaymentRows> {
  return consumer({
    name: 'payment-service.rabbitmq',
    store: paymentRows(options),
    retry,
    handlers: [
      on(paymentCaptureV1, paymentCapture, { only: 'orchestrated' }),
      on(paymentRefundV1, paymentRefund, { only: 'orchestrated' }),
    ],
    afterCommit: (changed) => options.afterCommit(changed.payments),
  })
}
