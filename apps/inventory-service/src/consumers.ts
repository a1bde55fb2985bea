import {
  orderConfirmedV1,
  orderPlacedV1,
  paymentRefundedV1,
  stockReleaseV1,
  stockReserveV1,
} from '@edp/event-schemas'
import { consumer, on, type RetryPolicy } from '@edp/messaging'
import { orderConfirmed } from './order-confirmed.ts'
import { orderPlaced } from './order-placed.ts'
import { paymentRefunded } from './payment-refunded.ts'
import { inventoryRows } from './rows.ts'
import { stockRelease } from './stock-release.ts'
import { stockReserve } from './stock-reserve.ts'

/** Any order is right: what was done and undone is in the step ledger. */
const retry: RetryPolicy = {
  attemptsMax: 10,
  backoff: { baseMs: 1000, capMs: 60_000 },
  order: 'skip',
  unknownVersionMaxMs: 24 * 60 * 60 * 1000,
}

/** Every message that comes in over Kafka. The name is the group, the inbox name and the redrive target. */
export const kafkaConsumer = consumer({
  name: 'inventory-service.kafka',
  store: inventoryRows,
  retry,
  handlers: [
    on(orderPlacedV1, orderPlaced, { only: 'choreographed' }),
    on(paymentRefundedV1, paymentRefunded, { only: 'choreographed' }),
    on(orderConfirmedV1, orderConfirmed),
  ],
})

/** Every command that comes in over RabbitMQ. The name is the inbox name and the redrive target. */
export const rabbitmqConsumer = consumer({
  name: 'inventory-service.rabbitmq',
  store: inventoryRows,
  retry,
  handlers: [
    on(stockReserveV1, stockReserve, { only: 'orchestrated' }),
    on(stockReleaseV1, stockRelease, { only: 'orchestrated' }),
  ],
})
