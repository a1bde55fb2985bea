import { type StockReserveV1, stockReserveRepliedV1 } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { type Answer, commandOf, formatStep, replyTo } from '@edp/saga/participant'
import { reserveStep } from './reserve-step.ts'
import { type Reserving, reserveStock, reservingFact } from './reserve-stock.ts'
import type { InventoryRows } from './rows.ts'

/**
 * Holds all lines of the order or none, for the orchestrator. Each command is answered, a repeated one with the same
 * answer; the fact is published once, with the effect.
 */
export const stockReserve: MessageHandler<StockReserveV1, InventoryRows> = {
  keys: ({ envelope, body }) => {
    const step = reserveStep(body.orderId, 'do')
    commandOf(envelope, step)
    return { steps: [formatStep(step)], stock: body.lines.map((line) => line.sku) }
  },

  decide: ({ envelope, body }, rows) => {
    const command = commandOf(envelope, reserveStep(body.orderId, 'do'))
    const reserving = reserveStock(body, rows)
    const reply = replyTo(command, stockReserveRepliedV1, answerOf(reserving))
    const { changed } = reserving
    return changed
      ? { changed, messages: [reservingFact(reserving), reply] }
      : { messages: [reply] }
  },
}

function answerOf({ outcome, body }: Reserving): Answer<Pick<StockReserveV1, 'lines'>> {
  return outcome === 'ok'
    ? { outcome, result: { lines: body.lines } }
    : { outcome, reason: body.reason }
}
