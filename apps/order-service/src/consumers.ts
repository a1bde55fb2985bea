import {
  paymentCapturedV1,
  paymentCaptureRepliedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
  paymentRefundRepliedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockReleaseRepliedV1,
  stockReservedV1,
  stockReserveRepliedV1,
  stockShippedV1,
} from '@edp/event-schemas'
import { type AllChanged, type Consumer, consumer, on, type RetryPolicy } from '@edp/messaging'
import { countSagaLog, countUnknownSaga, type SagaRegistry } from '@edp/saga/postgres'
import { decidedIn } from './decided-in.ts'
import { refuseOtherAmount } from './domain/captured-amount.ts'
import { countEnded } from './metrics.ts'
import { noted } from './noted.ts'
import { paymentCaptured } from './payment-captured.ts'
import { paymentDeclined } from './payment-declined.ts'
import { orderRows, type OrderTables } from './rows.ts'
import { sagaReply } from './saga-reply.ts'
import { serviceName } from './service-name.ts'
import { stockRejected } from './stock-rejected.ts'
import { stockReleased } from './stock-released.ts'

/** Any order is right: the order row is compared and set, and a saga knows its answers by step and direction. */
const retry: RetryPolicy = {
  attemptsMax: 10,
  backoff: { baseMs: 1000, capMs: 60_000 },
  order: 'skip',
  unknownVersionMaxMs: 24 * 60 * 60 * 1000,
}

/** Everything that reaches this service over Kafka. Only choreographed orders are decided by it. */
export const kafkaConsumer: Consumer<OrderTables> = consumer({
  name: `${serviceName}.kafka`,
  store: orderRows,
  retry,
  handlers: [
    on(paymentCapturedV1, decidedIn('choreographed', paymentCaptured)),
    on(paymentDeclinedV1, decidedIn('choreographed', paymentDeclined)),
    on(stockRejectedV1, decidedIn('choreographed', stockRejected)),
    on(stockReleasedV1, decidedIn('choreographed', stockReleased)),
    on(stockReservedV1, noted()),
    on(stockShippedV1, noted()),
    on(
      paymentRefundedV1,
      noted(({ amountMinor, currency }) => ({ amountMinor, currency })),
    ),
  ],
  afterCommit: count,
})

/** Everything that reaches this service over RabbitMQ: the answers to the commands of its sagas. */
export function rabbitmqConsumer(registry: SagaRegistry): Consumer<OrderTables> {
  const only = 'orchestrated'
  return consumer({
    name: `${serviceName}.rabbitmq`,
    store: orderRows,
    retry,
    handlers: [
      on(stockReserveRepliedV1, sagaReply(registry), { only }),
      on(stockReleaseRepliedV1, sagaReply(registry), { only }),
      on(
        paymentCaptureRepliedV1,
        sagaReply(registry, (order, { result }) => {
          if (result) refuseOtherAmount(order, result)
        }),
        { only },
      ),
      on(paymentRefundRepliedV1, sagaReply(registry), { only }),
    ],
    afterCommit: count,
  })
}

function count({ orders, sagaLog, timeline }: AllChanged<OrderTables>): void {
  countEnded(orders)
  countSagaLog(sagaLog)
  for (const { detail } of timeline) if (detail?.['note'] === 'unknown-saga') countUnknownSaga()
}
