import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Product } from '../domain/prices.ts'

const selectProducts = statement(
  'products_select',
  z.object({
    sku: z.string(),
    name: z.string(),
    unit_price_minor: z.int(),
    currency: z.string(),
  }),
  `select p.sku, p.name, p.unit_price_minor, p.currency
   from unnest($1::text[]) as k (sku) join products p on p.sku = k.sku`,
)

const upsertProduct = statement(
  'products_upsert',
  noRow,
  `insert into products (sku, name, unit_price_minor, currency) values ($1, $2, $3, $4)
   on conflict (sku) do update set name = excluded.name, unit_price_minor = excluded.unit_price_minor,
     currency = excluded.currency`,
)

/** The products of these SKUs, those that exist. */
export async function readProducts(
  tx: Tx,
  skus: ReadonlySet<string>,
): Promise<Map<string, Product>> {
  const rows = await tx.run(selectProducts, [[...skus]])
  return new Map(
    rows.map(({ sku, name, unit_price_minor: unitPriceMinor, currency }) => [
      sku,
      { sku, name, unitPriceMinor, currency },
    ]),
  )
}

/** Makes a product, or changes it. Orders keep the price at which they were placed. */
export function saveProduct(tx: Tx, product: Product): void {
  const { sku, name, unitPriceMinor, currency } = product
  void tx.execute(upsertProduct, [sku, name, unitPriceMinor, currency])
}
