import type { Message } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { formatTally, minuteOf, type Tally, type TallyKey, type TallyKind } from './tally.ts'

/** The counts that messages add to, by `formatTally`. */
export type StatisticsRows = { tallies: Tally }

/**
 * Counts a fact about an order in the minute in which it happened, by its own time: a message that comes late, or again after
 * years, belongs there too.
 * @param of says by what it is counted, and the money
 */
export function countOrder<Body>(
  kind: TallyKind,
  of: (body: Body) => { label: string; amountMinor: number },
): MessageHandler<Body, StatisticsRows> {
  const keyOf = ({ envelope, body }: Message<Body>): TallyKey => {
    return { minute: minuteOf(envelope.time), kind, label: of(body).label }
  }
  return {
    keys: (message) => ({ tallies: [formatTally(keyOf(message))] }),
    decide: (message, { tallies }) => {
      const key = keyOf(message)
      const before = tallies.get(formatTally(key)) ?? { orders: 0, amountMinor: 0 }
      const amountMinor = before.amountMinor + of(message.body).amountMinor
      return { changed: { tallies: [{ ...key, orders: before.orders + 1, amountMinor }] } }
    },
  }
}
