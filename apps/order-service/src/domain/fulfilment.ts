import type { Line } from '@edp/event-schemas'
import { type Definition, defineSaga } from '@edp/saga'

/** What the saga of an order knows: all that its commands say. The saga's id is the order's. */
export interface Fulfilment {
  readonly orderId: string
  readonly lines: readonly Line[]
  readonly payment: {
    readonly amountMinor: number
    readonly currency: string
    /** An opaque token that only the payment provider understands. */
    readonly paymentRef: string
  }
}

/** The local actions of the saga: functions of the transaction that decides it. */
export const confirmOrder = 'order.confirm'

/**
 * An order, orchestrated: stock, money, then the order itself, whose row says in the orchestrator's own transaction
 * whether it is confirmed. Nothing comes after that: `order.confirmed` is enqueued in the same transaction, so a step
 * that announces it could only say again what has been said.
 */
export const orderFulfilment: Definition<Fulfilment> = defineSaga<Fulfilment>('order-fulfilment', 1)
  .compensatable('reserve', {
    do: {
      kind: 'remote',
      command: 'stock.reserve.v1',
      payload: ({ orderId, lines, payment }) => ({ orderId, lines, payment }),
    },
    undo: {
      kind: 'remote',
      command: 'stock.release.v1',
      payload: ({ orderId }) => ({ orderId }),
    },
  })
  .compensatable('charge', {
    do: {
      kind: 'remote',
      command: 'payment.capture.v1',
      payload: ({ orderId, payment }) => ({ orderId, payment }),
    },
    undo: {
      kind: 'remote',
      command: 'payment.refund.v1',
      // The currency, since the answer to an undo that finds nothing names an amount too.
      payload: ({ orderId, payment: { currency } }) => ({ orderId, currency }),
    },
  })
  .pivot('confirm', { do: { kind: 'local', action: confirmOrder } })
  .deadline({ minutes: 5 })
  .build()
