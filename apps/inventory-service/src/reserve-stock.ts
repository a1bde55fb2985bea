import {
  type Line,
  type Outgoing,
  outgoing,
  type Payment,
  type StockRejectedV1,
  type StockReservedV1,
  stockRejectedV1,
  stockReservedV1,
} from '@edp/event-schemas'
import type { Changed, Rows } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { judgeDo, settle } from '@edp/saga/participant'
import { hold } from './domain/reservation.ts'
import { claimedStep, neverSettled, reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/** What the order wants held, and what is passed on unread. */
export interface Wanted {
  readonly orderId: string
  readonly lines: readonly Line[]
  readonly payment: Payment
}

/** What became of a reservation. Nothing has changed when it was asked for before: it is the same answer again. */
export type Reserving = { readonly changed?: Changed<InventoryRows> } & (
  | { readonly outcome: 'ok'; readonly body: StockReservedV1 }
  | { readonly outcome: 'refused'; readonly body: StockRejectedV1 }
)

/** Holds all lines of an order or none, once, whoever asks and how often. Needs the step and the stock of the lines. */
export function reserveStock(wanted: Wanted, rows: Rows<InventoryRows>): Reserving {
  const { orderId } = wanted
  const step = reserveStep(orderId, 'do')
  const verdict = judgeDo(claimedStep(rows.steps, step))
  switch (verdict.kind) {
    case 'act':
      return reserve(wanted, rows)
    case 'answer':
      return verdict.outcome === 'ok'
        ? { outcome: 'ok', body: stockReservedV1.body.parse(verdict.reply) }
        : // A tombstone has no reply: the order was undone before it got here.
          { outcome: 'refused', body: stockRejectedV1.body.parse(verdict.reply ?? undone(orderId)) }
    case 'pending':
      throw neverSettled(step)
    default:
      return unreachable(verdict)
  }
}

/** What everybody is told of it. */
export function reservingFact({ outcome, body }: Reserving): Outgoing {
  return outcome === 'ok'
    ? outgoing(stockReservedV1, body.orderId, body)
    : outgoing(stockRejectedV1, body.orderId, body)
}

function reserve({ orderId, lines, payment }: Wanted, rows: Rows<InventoryRows>): Reserving {
  const step = reserveStep(orderId, 'do')
  const outcome = hold(orderId, lines, rows.stock)
  if (outcome.kind === 'short') {
    const { shortages } = outcome
    const body: StockRejectedV1 = { orderId, reason: 'out-of-stock', shortages }
    return { outcome: 'refused', body, changed: { steps: [settle(step, 'refused', body)] } }
  }
  const body: StockReservedV1 = { orderId, lines: [...lines], payment }
  return {
    outcome: 'ok',
    body,
    changed: {
      steps: [settle(step, 'ok', body)],
      reservations: [outcome.reservation],
      stock: outcome.stock,
    },
  }
}

function undone(orderId: string): StockRejectedV1 {
  return { orderId, reason: 'undone', shortages: [] }
}
