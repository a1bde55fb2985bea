import { noRow, statement, type Tx } from '@edp/runtime'
import { asc, eq, gt } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import { z } from 'zod'
import type { StockItem } from '../domain/stock.ts'
import { stock } from './schema.ts'

const stockRow = z.object({ sku: z.string(), on_hand: z.number(), reserved: z.number() })

// Reads the lines of reservations and locks stock in one statement, which is right only because the reservations
// were locked by an earlier one: nobody can change or add one while this waits for a stock row.
const lock = statement(
  'stock_lock',
  stockRow,
  `select s.sku, s.on_hand, s.reserved
   from stock s
   where s.sku = any($1::text[] || array(
     select l ->> 'sku'
     from unnest($2::uuid[]) as k (order_id)
     join reservations r on r.order_id = k.order_id
     cross join json_array_elements(r.lines) as l
   ))
   order by s.sku
   for update of s`,
)

const save = statement(
  'stock_save',
  noRow,
  `update stock s set on_hand = c.on_hand, reserved = c.reserved
   from unnest($1::text[], $2::bigint[], $3::bigint[]) as c (sku, on_hand, reserved)
   where s.sku = c.sku`,
)

const insertReceipt = statement(
  'stock_receipt_insert',
  z.object({ receipt_id: z.string() }),
  `insert into stock_receipts (receipt_id, sku, quantity) values ($1, $2, $3)
   on conflict do nothing
   returning receipt_id`,
)

// A statement of its own after the insert: only a later snapshot sees what the insert waited for.
const readReceipt = statement(
  'stock_receipt_read',
  z.object({ sku: z.string(), quantity: z.number() }),
  `select sku, quantity from stock_receipts where receipt_id = $1`,
)

const add = statement(
  'stock_add',
  stockRow,
  `insert into stock as s (sku, on_hand) values ($1, $2)
   on conflict (sku) do update set on_hand = s.on_hand + excluded.on_hand
   returning s.sku, s.on_hand, s.reserved`,
)

const read = statement(
  'stock_read',
  stockRow,
  `select sku, on_hand, reserved from stock where sku = $1`,
)

/** A delivery that came in. */
export interface Receipt {
  readonly receiptId: string
  readonly sku: string
  readonly quantity: number
}

/**
 * Locks the stock of the SKUs that were named and of the lines of reservations, each row once and sorted. The
 * reservations must have been locked before, by this transaction.
 */
export async function lockStock(
  tx: Tx,
  named: { skus: readonly string[]; orderIds: readonly string[] },
): Promise<Map<string, StockItem>> {
  if (named.skus.length === 0 && named.orderIds.length === 0) return new Map()
  const rows = await tx.run(lock, [named.skus, named.orderIds])
  return new Map(rows.map((row) => [row.sku, itemOf(row)]))
}

/** Writes stock that is locked, in one statement, whose answer the commit awaits. */
export function saveStock(tx: Tx, items: readonly StockItem[]): void {
  if (items.length === 0) return
  void tx.execute(save, [
    items.map((item) => item.sku),
    items.map((item) => item.onHand),
    items.map((item) => item.reserved),
  ])
}

/** Records a delivery; the one recorded before when there is one of this id. */
export async function recordReceipt(
  tx: Tx,
  receipt: Receipt,
): Promise<{ fresh: boolean; sku: string; quantity: number }> {
  const { receiptId, sku, quantity } = receipt
  const inserted = await tx.run(insertReceipt, [receiptId, sku, quantity])
  if (inserted.length > 0) return { fresh: true, sku, quantity }
  const [recorded] = await tx.run(readReceipt, [receiptId])
  if (!recorded) throw new Error(`the receipt ${receiptId} is neither new nor there`)
  return { fresh: false, ...recorded }
}

/** Adds to what is on hand of a SKU; of a new one too. */
export async function addStock(tx: Tx, sku: string, quantity: number): Promise<StockItem> {
  const [row] = await tx.run(add, [sku, quantity])
  if (!row) throw new Error(`adding to the stock of ${sku} gave no row`)
  return itemOf(row)
}

/** The stock of one SKU within a transaction. */
export async function readStock(tx: Tx, sku: string): Promise<StockItem | undefined> {
  const [row] = await tx.run(read, [sku])
  return row && itemOf(row)
}

/** What HTTP reads. */
export interface StockQueries {
  find(sku: string): Promise<StockItem | undefined>
  /** At most `limit` items after the SKU `after`, sorted. */
  page(limit: number, after: string): Promise<StockItem[]>
}

/** Reads over an ordinary pool, never the pipelined connections of the transactions. */
export function createStockQueries(pool: Pool): StockQueries {
  const db = drizzle(pool, { casing: 'snake_case' })
  return {
    find: async (sku) => {
      const [item] = await db.select().from(stock).where(eq(stock.sku, sku))
      return item
    },
    page: (limit, after) =>
      db.select().from(stock).where(gt(stock.sku, after)).orderBy(asc(stock.sku)).limit(limit),
  }
}

function itemOf(row: z.infer<typeof stockRow>): StockItem {
  return { sku: row.sku, onHand: row.on_hand, reserved: row.reserved }
}
