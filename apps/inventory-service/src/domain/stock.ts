/** What the warehouse holds of one SKU. What is reserved is still on hand until it is shipped. */
export interface StockItem {
  readonly sku: string
  readonly onHand: number
  readonly reserved: number
}

/** How many are neither reserved nor shipped. */
export function available(item: StockItem): number {
  return item.onHand - item.reserved
}
