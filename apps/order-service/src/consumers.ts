import {
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
  stockRejectedV1,
  stockReleasedV1,
  stockReservedV1,
  stockShippedV1,
} from '@edp/event-schemas'
import { type Consumer, consumer, on } from '@edp/messaging'
import { countEnded } from './metrics.ts'
import { noted } from './noted.ts'
import { paymentCaptured } from './payment-captured.ts'
import { paymentDeclined } from './payment-declined.ts'
import { orderRows, type OrderTables } from './rows.ts'
import { serviceName } from './service-name.ts'
import { stockRejected } from './stock-rejected.ts'
import { stockReleased } from './stock-released.ts'

const only = 'choreographed'

/** Everything that reaches this service over Kafka. */
export const kafkaConsumer: Consumer<OrderTables> = consumer({
  name: `${serviceName}.kafka`,
  store: orderRows,
  handlers: [
    on(paymentCapturedV1, paymentCaptured, { only }),
    on(paymentDeclinedV1, paymentDeclined, { only }),
    on(stockRejectedV1, stockRejected, { only }),
    on(stockReleasedV1, stockReleased, { only }),
    on(stockReservedV1, noted()),
    on(stockShippedV1, noted()),
    on(
      paymentRefundedV1,
      noted(({ amountMinor, currency }) => ({ amountMinor, currency })),
    ),
  ],
  afterCommit: ({ orders }) => countEnded(orders),
})
