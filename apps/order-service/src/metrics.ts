import { counter, histogram } from '@edp/runtime'
import type { Order } from './domain/order.ts'

const placed = counter('edp_orders_placed_total', 'Orders accepted', ['coordination'])
const ended = counter('edp_orders_ended_total', 'Orders ended, by how', ['result'])
const orderSeconds = histogram('edp_order_seconds', 'From accepting an order to its end', [
  'result',
])
const groupSize = histogram(
  'edp_place_order_group_orders',
  'Requests that went into one transaction',
  [],
  [1, 2, 5, 10, 20, 50, 100, 200],
)

/** Counts orders whose placing is committed. */
export function countPlaced(coordination: Order['coordination'], orders: number): void {
  placed.inc({ coordination }, orders)
}

/** Counts the orders among these whose end is committed. */
export function countEnded(orders: readonly Order[]): void {
  for (const order of orders) {
    if (order.status !== 'confirmed' && order.status !== 'cancelled') continue
    ended.inc({ result: order.status })
    // Two clocks: the database's when it was placed, this process's when it ended.
    const seconds = Math.max(0, (order.endedAt.getTime() - order.placedAt.getTime()) / 1000)
    orderSeconds.observe({ result: order.status }, seconds)
  }
}

/** Notes how many requests one transaction took. */
export function observeGroup(requests: number): void {
  groupSize.observe(requests)
}
