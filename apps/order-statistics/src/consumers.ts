import { orderCancelledV1, orderConfirmedV1, orderPlacedV1 } from '@edp/event-schemas'
import { type Consumer, consumer, type ConsumerOptions, on, type RetryPolicy } from '@edp/messaging'
import { countOrder, type StatisticsRows } from './count-order.ts'
import { formatTally } from './tally.ts'
import { addTallies } from './db/tallies.ts'

/** Sums are right in any order. Nobody waits for them, so what fails is left alone for longer than by those that fulfil orders. */
const retry: RetryPolicy = {
  attemptsMax: 20,
  backoff: { baseMs: 5000, capMs: 300_000 },
  order: 'skip',
  unknownVersionMaxMs: 24 * 60 * 60 * 1000,
}

/** How much at once: large batches, which a wait may grow, since a figure that is a fifth of a second old is as good. */
export const concurrency: Pick<ConsumerOptions, 'batchMessagesMax' | 'lingerMsMax'> = {
  batchMessagesMax: 2000,
  lingerMsMax: 200,
}

/** Every message that comes in over Kafka. The name is the group, the inbox name and the redrive target. */
export const kafkaConsumer: Consumer<StatisticsRows> = consumer({
  name: 'order-statistics.kafka',
  store: {
    keyOf: { tallies: formatTally },
    load: async () => ({ tallies: new Map() }),
    save: async (tx, { tallies }) => addTallies(tx, tallies),
  },
  retry,
  handlers: [
    on(
      orderPlacedV1,
      countOrder('placed', ({ payment: { currency, amountMinor } }) => ({
        label: currency,
        amountMinor,
      })),
    ),
    on(
      orderConfirmedV1,
      countOrder('confirmed', ({ currency, amountMinor }) => ({ label: currency, amountMinor })),
    ),
    on(
      orderCancelledV1,
      countOrder('cancelled', ({ reason }) => ({ label: reason, amountMinor: 0 })),
    ),
  ],
})
