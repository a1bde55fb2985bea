import {
  outgoing,
  type PaymentRefundedV1,
  type StockReleasedV1,
  stockReleasedV1,
} from '@edp/event-schemas'
import type { Decision, MessageHandler, Rows } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep, judgeUndo, settle } from '@edp/saga/participant'
import { release } from './domain/reservation.ts'
import { claimedStep, neverSettled, reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/**
 * The second half of the undo chain: the money is back, so the stock goes back. Always answers, so that the order ends; an
 * order that has not got here yet is refused when it does.
 */
export const paymentRefunded: MessageHandler<PaymentRefundedV1, InventoryRows> = {
  keys: ({ body }) => ({
    steps: [formatStep(reserveStep(body.orderId, 'undo'))],
    reservations: [body.orderId],
  }),

  decide: ({ body: { orderId } }, rows) => {
    const done = reserveStep(orderId, 'do')
    const undo = reserveStep(orderId, 'undo')
    const verdict = judgeUndo(claimedStep(rows.steps, done), rows.steps.get(formatStep(undo)))
    switch (verdict.kind) {
      case 'act':
        if (verdict.on === 'started') throw neverSettled(done)
        return releaseHeld(orderId, rows)
      case 'nothing': {
        const reply: StockReleasedV1 = { orderId, lines: [] }
        return {
          changed: { steps: [settle(done, 'tombstone'), settle(undo, 'ok', reply)] },
          ...released(reply),
        }
      }
      case 'answer':
        return released(stockReleasedV1.body.parse(verdict.reply))
      default:
        return unreachable(verdict)
    }
  },
}

function releaseHeld(orderId: string, rows: Rows<InventoryRows>): Decision<InventoryRows> {
  const reservation = rows.reservations.get(orderId)
  const movement = reservation && release(reservation, rows.stock)
  const reply: StockReleasedV1 = {
    orderId,
    lines: movement ? [...movement.reservation.lines] : [],
  }
  return {
    changed: {
      steps: [settle(reserveStep(orderId, 'undo'), 'ok', reply)],
      ...(movement && { reservations: [movement.reservation], stock: movement.stock }),
    },
    ...released(reply),
  }
}

function released(body: StockReleasedV1): Decision<InventoryRows> {
  return { messages: [outgoing(stockReleasedV1, body.orderId, body)] }
}
