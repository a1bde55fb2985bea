import type { Line, PricedLine } from '@edp/event-schemas'

/** What a product costs. */
export interface Product {
  readonly sku: string
  readonly name: string
  readonly unitPriceMinor: number
  readonly currency: string
}

/**
 * The dearest order, and so the dearest unit: eight digits, as payment providers take them. Whoever sums orders up, in statistics or
 * books, may use numbers: 90 million of the dearest stay below 2^53.
 */
export const amountMinorMax = 99_999_999

/** Why an order cannot be sold: where in it, such as `lines.2.sku`, and what. */
export interface PricingProblem {
  readonly path: string
  readonly message: string
}

/** What came of looking up the prices of an order. */
export type Pricing =
  | { readonly ok: true; readonly lines: readonly PricedLine[]; readonly amountMinor: number }
  | { readonly ok: false; readonly problems: readonly PricingProblem[] }

/** Gives each line its price, or says why the order cannot be sold: of each line that has no price, or that all are too dear. */
export function priceLines(
  lines: readonly Line[],
  currency: string,
  products: ReadonlyMap<string, Product>,
): Pricing {
  const priced: PricedLine[] = []
  const problems: PricingProblem[] = []
  let amountMinor = 0
  for (const [index, { sku, quantity }] of lines.entries()) {
    const path = `lines.${index}.sku`
    const product = products.get(sku)
    if (product === undefined) {
      problems.push({ path, message: `there is no product ${sku}` })
    } else if (product.currency !== currency) {
      problems.push({ path, message: `${sku} is sold in ${product.currency}, not in ${currency}` })
    } else {
      priced.push({ sku, quantity, unitPriceMinor: product.unitPriceMinor })
      amountMinor += quantity * product.unitPriceMinor
    }
  }
  // Exact also where it is refused: 50 lines of 1,000,000 of the dearest units are below 2^53.
  if (amountMinor > amountMinorMax) {
    const message = `costs ${amountMinor} in minor units, an order at most ${amountMinorMax}`
    problems.push({ path: 'lines', message })
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, lines: priced, amountMinor }
}
