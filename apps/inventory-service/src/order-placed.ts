import {
  type Line,
  type OrderPlacedV1,
  outgoing,
  type StockRejectedV1,
  type StockReservedV1,
  stockRejectedV1,
  stockReservedV1,
} from '@edp/event-schemas'
import type { Decision, MessageHandler, Rows } from '@edp/messaging'
import { unreachable } from '@edp/runtime'
import { formatStep, judgeDo, settle } from '@edp/saga/participant'
import { hold } from './domain/reservation.ts'
import { claimedStep, neverSettled, reserveStep } from './reserve-step.ts'
import type { InventoryRows } from './rows.ts'

/** Holds all lines of the order or none. The same order again gets the same answer. */
export const orderPlaced: MessageHandler<OrderPlacedV1, InventoryRows> = {
  keys: ({ body }) => ({
    steps: [formatStep(reserveStep(body.orderId, 'do'))],
    stock: body.lines.map((line) => line.sku),
  }),

  decide: ({ body }, rows) => {
    const { orderId } = body
    const step = reserveStep(orderId, 'do')
    const verdict = judgeDo(claimedStep(rows.steps, step))
    switch (verdict.kind) {
      case 'act':
        return reserve(body, rows)
      case 'answer':
        return verdict.outcome === 'ok'
          ? reserved(stockReservedV1.body.parse(verdict.reply))
          : // A tombstone has no reply: the order was undone before it got here.
            rejected(stockRejectedV1.body.parse(verdict.reply ?? undone(orderId)))
      case 'pending':
        throw neverSettled(step)
      default:
        return unreachable(verdict)
    }
  },
}

function reserve(body: OrderPlacedV1, rows: Rows<InventoryRows>): Decision<InventoryRows> {
  const { orderId, payment } = body
  const step = reserveStep(orderId, 'do')
  const lines: Line[] = body.lines.map(({ sku, quantity }) => ({ sku, quantity }))
  const outcome = hold(orderId, lines, rows.stock)
  if (outcome.kind === 'short') {
    const { shortages } = outcome
    const reply: StockRejectedV1 = { orderId, reason: 'out-of-stock', shortages }
    return { changed: { steps: [settle(step, 'refused', reply)] }, ...rejected(reply) }
  }
  const reply: StockReservedV1 = { orderId, lines, payment }
  return {
    changed: {
      steps: [settle(step, 'ok', reply)],
      reservations: [outcome.reservation],
      stock: outcome.stock,
    },
    ...reserved(reply),
  }
}

function undone(orderId: string): StockRejectedV1 {
  return { orderId, reason: 'undone', shortages: [] }
}

function reserved(body: StockReservedV1): Decision<InventoryRows> {
  return { messages: [outgoing(stockReservedV1, body.orderId, body)] }
}

function rejected(body: StockRejectedV1): Decision<InventoryRows> {
  return { messages: [outgoing(stockRejectedV1, body.orderId, body)] }
}
