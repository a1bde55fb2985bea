import type { Line } from '@edp/event-schemas'
import { AppError, unreachable } from '@edp/runtime'
import { available, type StockItem } from './stock.ts'

/**
 * The stock of one order: all its lines or none, so it exists only when all could be held. A released or
 * shipped one never changes again.
 */
export type Reservation =
  | { readonly status: 'held'; readonly orderId: string; readonly lines: readonly Line[] }
  | { readonly status: 'released'; readonly orderId: string; readonly lines: readonly Line[] }
  | { readonly status: 'shipped'; readonly orderId: string; readonly lines: readonly Line[] }

/** A line that could not be held, and what was left for it. */
export interface Shortage {
  readonly sku: string
  readonly requested: number
  readonly available: number
}

/** A reservation that changed, with the stock as it is then. */
export interface Movement {
  readonly reservation: Reservation
  readonly stock: readonly StockItem[]
}

type Stock = ReadonlyMap<string, StockItem>

/** Holds all lines, or none and says which were short. A SKU that is unknown has none available. */
export function hold(
  orderId: string,
  lines: readonly Line[],
  stock: Stock,
): (Movement & { readonly kind: 'held' }) | { kind: 'short'; shortages: Shortage[] } {
  const touched = new Map<string, StockItem>()
  const shortages: Shortage[] = []
  for (const { sku, quantity } of lines) {
    const item = touched.get(sku) ?? stock.get(sku)
    const left = item ? available(item) : 0
    if (!item || left < quantity) shortages.push({ sku, requested: quantity, available: left })
    else touched.set(sku, { ...item, reserved: item.reserved + quantity })
  }
  if (shortages.length > 0) return { kind: 'short', shortages }
  return {
    kind: 'held',
    reservation: { status: 'held', orderId, lines },
    stock: [...touched.values()],
  }
}

/**
 * Gives back what is held.
 * @throws AppError `permanent` when it was shipped: a confirmed order is never undone
 */
export function release(reservation: Reservation, stock: Stock): Movement | undefined {
  switch (reservation.status) {
    case 'held':
      return {
        reservation: { ...reservation, status: 'released' },
        stock: move(reservation, stock, (item, quantity) => ({
          ...item,
          reserved: item.reserved - quantity,
        })),
      }
    case 'released':
      return undefined
    case 'shipped':
      throw broken(reservation, 'was shipped and is to be released')
    default:
      return unreachable(reservation)
  }
}

/**
 * Takes what is held out of the warehouse. Undefined when it has left already.
 * @throws AppError `permanent` when it was released: an undone order is never confirmed
 */
export function ship(reservation: Reservation, stock: Stock): Movement | undefined {
  switch (reservation.status) {
    case 'held':
      return {
        reservation: { ...reservation, status: 'shipped' },
        stock: move(reservation, stock, (item, quantity) => ({
          ...item,
          onHand: item.onHand - quantity,
          reserved: item.reserved - quantity,
        })),
      }
    case 'shipped':
      return undefined
    case 'released':
      throw broken(reservation, 'was released and is to be shipped')
    default:
      return unreachable(reservation)
  }
}

function move(
  { orderId, lines }: Reservation,
  stock: Stock,
  change: (item: StockItem, quantity: number) => StockItem,
): StockItem[] {
  const touched = new Map<string, StockItem>()
  for (const { sku, quantity } of lines) {
    const item = touched.get(sku) ?? stock.get(sku)
    if (!item) {
      throw new AppError('stock-missing', `there is no stock row of ${sku} for order ${orderId}`, {
        retry: 'permanent',
      })
    }
    touched.set(sku, change(item, quantity))
  }
  return [...touched.values()]
}

function broken(reservation: Reservation, what: string): AppError {
  return new AppError('invariant-broken', `the stock of order ${reservation.orderId} ${what}`, {
    retry: 'permanent',
  })
}
