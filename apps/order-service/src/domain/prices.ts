import type { Line, PricedLine } from '@edp/event-schemas'

/** What a product costs. */
export interface Product {
  readonly sku: string
  readonly name: string
  readonly unitPriceMinor: number
  readonly currency: string
}

/**
 * The dearest unit. 50 lines of 1,000,000 units at this price stay below 2^53, so that no amount needs a check of its own
 * and none is ever rounded.
 */
export const unitPriceMinorMax = 100_000_000

/** A line that cannot be sold, by its place in the order. */
export interface LineProblem {
  readonly index: number
  readonly message: string
}

/** What came of looking up the prices of an order. */
export type Pricing =
  | { readonly ok: true; readonly lines: readonly PricedLine[]; readonly amountMinor: number }
  | { readonly ok: false; readonly problems: readonly LineProblem[] }

/** Gives each line its price, or says of each line why it has none. */
export function priceLines(
  lines: readonly Line[],
  currency: string,
  products: ReadonlyMap<string, Product>,
): Pricing {
  const priced: PricedLine[] = []
  const problems: LineProblem[] = []
  let amountMinor = 0
  for (const [index, { sku, quantity }] of lines.entries()) {
    const product = products.get(sku)
    if (product === undefined) {
      problems.push({ index, message: `there is no product ${sku}` })
    } else if (product.currency !== currency) {
      problems.push({ index, message: `${sku} is sold in ${product.currency}, not in ${currency}` })
    } else {
      priced.push({ sku, quantity, unitPriceMinor: product.unitPriceMinor })
      amountMinor += quantity * product.unitPriceMinor
    }
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, lines: priced, amountMinor }
}
