import { AppError } from '@edp/runtime'
import type { Order } from './order.ts'

/**
 * The books would not balance any more, and nobody would notice: rather stop here.
 * @throws AppError `captured-other-amount` when the customer was charged something else than the order costs
 */
export function refuseOtherAmount(
  order: Order,
  captured: { readonly amountMinor: number; readonly currency: string },
): void {
  if (order.amountMinor === captured.amountMinor && order.currency === captured.currency) return
  throw new AppError(
    'captured-other-amount',
    `order ${order.orderId} is ${order.amountMinor} ${order.currency}, ` +
      `captured were ${captured.amountMinor} ${captured.currency}`,
    { retry: 'permanent' },
  )
}
