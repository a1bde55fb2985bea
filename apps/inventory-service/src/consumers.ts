import {
  orderConfirmedV1,
  orderPlacedV1,
  paymentRefundedV1,
  stockReleaseV1,
  stockReserveV1,
} from '@edp/event-schemas'
import { consumer, on } from '@edp/messaging'
import { orderConfirmed } from './order-confirmed.ts'
import { orderPlaced } from './order-placed.ts'
import { paymentRefunded } from './payment-refunded.ts'
import { inventoryRows } from './rows.ts'
import { stockRelease } from './stock-release.ts'
import { stockReserve } from './stock-reserve.ts'

/** Every message that comes in over Kafka. The name is the group, the inbox name and the redrive target. */
export const kafkaConsumer = consumer({
  name: 'inventory-service.kafka',
  store: inventoryRows,
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
  handlers: [
    on(stockReserveV1, stockReserve, { only: 'orchestrated' }),
    on(stockReleaseV1, stockRelease, { only: 'orchestrated' }),
  ],
})
