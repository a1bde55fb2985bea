import { type Outgoing, outgoing, type StockReleasedV1, stockReleasedV1 } from '@edp/event-schemas'
import type { Changed, Rows } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep, judgeUndo, settle } from '@edp/saga/participant'
import { release } from './domain/reservation.ts'
import { claimedStep, neverSettled, reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/** What went back. Nothing has changed when it was asked for before: it is the same answer again. */
export interface Releasing {
  readonly body: StockReleasedV1
  readonly changed?: Changed<InventoryRows>
}

/**
 * Gives back what is held for an order, once, whoever asks and how often. An order that has not got here yet is refused
 * when it does. Needs the undo of the step and the reservation.
 */
export function releaseStock(orderId: string, rows: Rows<InventoryRows>): Releasing {
  const done = reserveStep(orderId, 'do')
  const undo = reserveStep(orderId, 'undo')
  const verdict = judgeUndo(claimedStep(rows.steps, done), rows.steps.get(formatStep(undo)))
  switch (verdict.kind) {
    case 'act':
      if (verdict.on === 'started') throw neverSettled(done)
      return releaseHeld(orderId, rows)
    case 'nothing': {
      const body: StockReleasedV1 = { orderId, lines: [] }
      return { body, changed: { steps: [settle(done, 'tombstone'), settle(undo, 'ok', body)] } }
    }
    case 'answer':
      return { body: stockReleasedV1.body.parse(verdict.reply) }
    default:
      return unreachable(verdict)
  }
}

/** What everybody is told of it. */
export function releasingFact({ body }: Releasing): Outgoing {
  return outgoing(stockReleasedV1, body.orderId, body)
}

function releaseHeld(orderId: string, rows: Rows<InventoryRows>): Releasing {
  const reservation = rows.reservations.get(orderId)
  const movement = reservation && release(reservation, rows.stock)
  const body: StockReleasedV1 = {
    orderId,
    lines: movement ? [...movement.reservation.lines] : [],
  }
  return {
    body,
    changed: {
      steps: [settle(reserveStep(orderId, 'undo'), 'ok', body)],
      ...(movement && { reservations: [movement.reservation], stock: movement.stock }),
    },
  }
}
