import { newMessageId } from '@edp/event-schemas'
import type { Database } from '@edp/runtime'
import { addStock, readStock, recordReceipt } from './db/stock.ts'
import type { StockItem } from './domain/stock.ts'

/** A delivery as it comes in over HTTP. Without an id of its own it counts as a new one. */
export interface Delivery {
  readonly sku: string
  readonly quantity: number
  readonly receiptId?: string | undefined
}

/** What became of a delivery: the stock after it, or another delivery has this id. */
export type Received =
  | { readonly kind: 'received'; readonly item: StockItem }
  | { readonly kind: 'receipt-reused' }

/** Takes a delivery in, once for each receipt id; of a SKU that was unknown too. */
export async function receiveStock(
  database: Pick<Database, 'transaction'>,
  delivery: Delivery,
): Promise<Received> {
  const { sku, quantity, receiptId = newMessageId() } = delivery
  return database.transaction(async (tx): Promise<Received> => {
    const receipt = await recordReceipt(tx, { receiptId, sku, quantity })
    if (receipt.fresh) return { kind: 'received', item: await addStock(tx, sku, quantity) }
    const same = receipt.sku === sku && receipt.quantity === quantity
    const item = same ? await readStock(tx, sku) : undefined
    return item ? { kind: 'received', item } : { kind: 'receipt-reused' }
  })
}
