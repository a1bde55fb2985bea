import { type StockReleaseV1, stockReleaseRepliedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { commandOf, formatStep, replyTo } from '@edp/saga/participant'
import { releaseStock, releasingFact } from './release-stock.ts'
import { reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/**
 * Gives back what is held for the order, for the orchestrator. Always answers `ok`, with what went back; an order that has not
 * got here yet is refused when it does. The fact is published once, with the effect.
 */
export const stockRelease: MessageHandler<StockReleaseV1, InventoryRows> = {
  keys: ({ envelope, body }) => {
    const step = reserveStep(body.orderId, 'undo')
    commandOf(envelope, step)
    return { steps: [formatStep(step)], reservations: [body.orderId] }
  },

  decide: ({ envelope, body }, rows) => {
    const command = commandOf(envelope, reserveStep(body.orderId, 'undo'))
    const releasing = releaseStock(body.orderId, rows)
    const { changed } = releasing
    const { lines } = releasing.body
    const reply = replyTo(command, stockReleaseRepliedV1, { outcome: 'ok', result: { lines } })
    return changed
      ? { changed, messages: [releasingFact(releasing), reply] }
      : { messages: [reply] }
  },
}
