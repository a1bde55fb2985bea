import type { PricedLine } from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { type AdvancedSaga, type RegisteredSaga, startSaga } from '@edp/saga/postgres'
import type { Fulfilment } from './domain/fulfilment.ts'
import type { PendingOrder } from './domain/order.ts'

/** The saga of a new order. It has the order's id, and the order's deadline. */
export function startFulfilment(
  starts: RegisteredSaga,
  order: PendingOrder,
  { request, lines }: { request: StartRequest; lines: readonly PricedLine[] },
): AdvancedSaga {
  const { orderId, amountMinor, currency, placedAt, dueAt } = order
  const context: Fulfilment = {
    orderId,
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity })),
    payment: { amountMinor, currency, paymentRef: request.body.paymentToken },
  }
  return startSaga(starts, {
    id: orderId,
    businessKey: orderId,
    context,
    deadlineAt: dueAt,
    now: placedAt,
    actor: 'customer',
    traceparent: request.traceparent,
    local: ({ action }) => {
      // The order row is not there yet: a saga that begins with a local step cannot be conducted here.
      throw new AppError('no-local-start', `${action} cannot be the first step of an order`, {
        retry: 'permanent',
      })
    },
  })
}

interface StartRequest {
  readonly body: { readonly paymentToken: string }
  readonly traceparent: string
}
