import type { RowStore } from '@edp/messaging'
import { claimSteps, formatStep, type LedgerRow, parseStep, saveSteps } from '@edp/saga/participant'
import { lockReservations, saveReservations } from './db/reservations.ts'
import { lockStock, saveStock } from './db/stock.ts'
import type { Reservation } from './domain/reservation.ts'
import type { StockItem } from './domain/stock.ts'

/**
 * The rows that messages need in memory, in the order in which they are locked. The stock of the lines of a
 * reservation that was named comes with it.
 */
export type InventoryRows = {
  /** By `orderId/step/direction`. */
  steps: LedgerRow
  /** By order id. */
  reservations: Reservation
  /** By SKU. */
  stock: StockItem
}

/** How the rows of a batch are locked and written. */
export const inventoryRows: RowStore<InventoryRows> = {
  keyOf: {
    steps: formatStep,
    reservations: (reservation) => reservation.orderId,
    stock: (item) => item.sku,
  },

  // One round trip: the statements go out together and the server runs them in this order.
  async load(tx, keys) {
    const [steps, reservations, stock] = await Promise.all([
      claimSteps(tx, keys.steps.map(parseStep)),
      lockReservations(tx, keys.reservations),
      lockStock(tx, { skus: keys.stock, orderIds: keys.reservations }),
    ])
    return { steps, reservations, stock }
  },

  async save(tx, changed) {
    await saveSteps(tx, changed.steps)
    saveReservations(tx, changed.reservations)
    saveStock(tx, changed.stock)
  },
}
