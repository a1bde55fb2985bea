import { AppError, noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Product } from '../domain/prices.ts'

// The clock comes with the products: a statement of its own for it would be one of nine that every group of orders costs.
const selectCatalogue = statement(
  'catalogue_select',
  z.object({
    now: z.date(),
    wanted: z.string(),
    name: z.string().nullable(),
    unit_price_minor: z.int().nullable(),
    currency: z.string().nullable(),
  }),
  `select date_trunc('milliseconds', now()) as now, k.sku as wanted, p.name, p.unit_price_minor, p.currency
   from unnest($1::text[]) as k (sku) left join products p on p.sku = k.sku`,
)

const upsertProduct = statement(
  'products_upsert',
  noRow,
  `insert into products (sku, name, unit_price_minor, currency) values ($1, $2, $3, $4)
   on conflict (sku) do update set name = excluded.name, unit_price_minor = excluded.unit_price_minor,
     currency = excluded.currency`,
)

/** What is sold, and when: the products of these SKUs, those that exist, and the database's clock. */
export interface Catalogue {
  readonly now: Date
  readonly products: ReadonlyMap<string, Product>
}

/** Reads the catalogue. At least one SKU has to be asked for. */
export async function readCatalogue(tx: Tx, skus: ReadonlySet<string>): Promise<Catalogue> {
  const rows = await tx.run(selectCatalogue, [[...skus]])
  const products = new Map<string, Product>()
  for (const { wanted: sku, name, unit_price_minor: unitPriceMinor, currency } of rows) {
    if (name === null || unitPriceMinor === null || currency === null) continue
    products.set(sku, { sku, name, unitPriceMinor, currency })
  }
  const [first] = rows
  if (first === undefined) {
    throw new AppError('no-sku', 'asked for nothing', { retry: 'permanent' })
  }
  return { now: first.now, products }
}

/** Makes a product, or changes it. Orders keep the price at which they were placed. */
export function saveProduct(tx: Tx, product: Product): void {
  const { sku, name, unitPriceMinor, currency } = product
  void tx.execute(upsertProduct, [sku, name, unitPriceMinor, currency])
}
