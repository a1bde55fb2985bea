import type { PricedLine } from '@edp/event-schemas'
import { and, asc, desc, eq, gt, inArray, lt } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import type {
  OrdersPage,
  OrdersQuery,
  OrderView,
  ProductsPage,
  ProductsQuery,
  TimelineView,
} from '../api.ts'
import { orderLines, orders, orderTimeline, products } from './schema.ts'

/** What HTTP reads: plain queries, outside of any transaction. */
export type Reads = NodePgDatabase

const timelineMax = 1000

export function openReads(pool: Pool): Reads {
  return drizzle(pool, { casing: 'snake_case' })
}

/** One order, as people see it. */
export async function findOrder(reads: Reads, orderId: string): Promise<OrderView | undefined> {
  const [page] = await withLines(
    reads,
    await reads.select().from(orders).where(eq(orders.orderId, orderId)),
  )
  return page
}

/** A page of orders, the newest first. New orders come before the first page, so that no cursor is moved by them. */
export async function listOrders(reads: Reads, query: OrdersQuery): Promise<OrdersPage> {
  const { status, customer, cursor, limit } = query
  const rows = await reads
    .select()
    .from(orders)
    .where(
      and(
        status && eq(orders.status, status),
        customer ? eq(orders.customerId, customer) : undefined,
        cursor ? lt(orders.orderId, cursor) : undefined,
      ),
    )
    .orderBy(desc(orders.orderId))
    .limit(limit + 1)
  const page = await withLines(reads, rows.slice(0, limit))
  return { orders: page, nextCursor: rows.length > limit ? (page.at(-1)?.orderId ?? null) : null }
}

/** What happened to an order, the first 1000 entries. */
export async function findTimeline(
  reads: Reads,
  orderId: string,
): Promise<TimelineView | undefined> {
  const [order] = await reads
    .select({ status: orders.status })
    .from(orders)
    .where(eq(orders.orderId, orderId))
  if (order === undefined) return undefined
  const entries = await reads
    .select()
    .from(orderTimeline)
    .where(eq(orderTimeline.orderId, orderId))
    .orderBy(asc(orderTimeline.seq))
    .limit(timelineMax)
  return {
    orderId,
    status: order.status,
    entries: entries.map(({ at, type, messageId, causationId, source, detail }) => ({
      at: at.toISOString(),
      type,
      messageId,
      causationId,
      source,
      detail,
    })),
  }
}

/** A page of the catalogue, by SKU. */
export async function listProducts(reads: Reads, query: ProductsQuery): Promise<ProductsPage> {
  const { cursor, limit } = query
  const rows = await reads
    .select()
    .from(products)
    .where(cursor === undefined ? undefined : gt(products.sku, cursor))
    .orderBy(asc(products.sku))
    .limit(limit + 1)
  const page = rows.slice(0, limit)
  return { products: page, nextCursor: rows.length > limit ? (page.at(-1)?.sku ?? null) : null }
}

async function withLines(
  reads: Reads,
  rows: readonly (typeof orders.$inferSelect)[],
): Promise<OrderView[]> {
  if (rows.length === 0) return []
  const ids = rows.map((row) => row.orderId)
  const lines = await reads
    .select()
    .from(orderLines)
    .where(inArray(orderLines.orderId, ids))
    .orderBy(asc(orderLines.orderId), asc(orderLines.position))
  const byOrder = Map.groupBy(lines, (line) => line.orderId)
  return rows.map((row) => viewOf(row, byOrder.get(row.orderId) ?? []))
}

function viewOf(row: typeof orders.$inferSelect, lines: readonly PricedLine[]): OrderView {
  return {
    orderId: row.orderId,
    customerId: row.customerId,
    status: row.status,
    coordination: row.coordination,
    priority: row.priority,
    currency: row.currency,
    amountMinor: row.amountMinor,
    lines: lines.map(({ sku, quantity, unitPriceMinor }) => ({ sku, quantity, unitPriceMinor })),
    cancelReason: row.cancelReason,
    placedAt: row.placedAt.toISOString(),
    dueAt: row.dueAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  }
}
