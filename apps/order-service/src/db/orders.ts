import { cancelReason, coordination, type PricedLine, priority } from '@edp/event-schemas'
import { AppError, noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Order, PendingOrder } from '../domain/order.ts'

const facts = {
  order_id: z.string(),
  customer_id: z.string(),
  coordination,
  priority,
  currency: z.string(),
  amount_minor: z.int(),
  placed_at: z.date(),
  due_at: z.date(),
}

/** A row of `orders`: the CHECK constraints make it one of these four. */
const orderRow = z.discriminatedUnion('status', [
  z.object({ ...facts, status: z.literal('pending'), cancel_reason: z.null(), ended_at: z.null() }),
  z.object({
    ...facts,
    status: z.literal('cancelling'),
    cancel_reason: cancelReason,
    ended_at: z.null(),
  }),
  z.object({
    ...facts,
    status: z.literal('confirmed'),
    cancel_reason: z.null(),
    ended_at: z.date(),
  }),
  z.object({
    ...facts,
    status: z.literal('cancelled'),
    cancel_reason: cancelReason,
    ended_at: z.date(),
  }),
])
type OrderRow = z.infer<typeof orderRow>

const columns = `o.order_id, o.customer_id, o.status, o.coordination, o.priority, o.currency, o.amount_minor,
  o.cancel_reason, o.placed_at, o.due_at, o.ended_at`

const insertOrderRows = statement(
  'orders_insert',
  noRow,
  `insert into orders
     (order_id, customer_id, status, coordination, priority, currency, amount_minor, placed_at, due_at)
   select order_id, customer_id, 'pending', coordination, priority, currency, amount_minor, placed_at, due_at
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
     $7::timestamptz[], $8::timestamptz[])
     as n (order_id, customer_id, coordination, priority, currency, amount_minor, placed_at, due_at)`,
)

const insertLineRows = statement(
  'order_lines_insert',
  noRow,
  `insert into order_lines (order_id, position, sku, quantity, unit_price_minor)
   select order_id, position, sku, quantity, unit_price_minor
   from unnest($1::uuid[], $2::smallint[], $3::text[], $4::integer[], $5::bigint[])
     as n (order_id, position, sku, quantity, unit_price_minor)`,
)

const lockOrderRows = statement(
  'orders_lock',
  orderRow,
  `select ${columns}
   from unnest($1::uuid[]) as k (order_id) join orders o on o.order_id = k.order_id
   order by o.order_id
   for update of o`,
)

const lockDueRows = statement(
  'orders_lock_due',
  orderRow,
  `select ${columns} from orders o
   where o.status = 'pending' and o.coordination = 'choreographed' and o.due_at <= now()
   order by o.due_at
   limit $1
   for update skip locked`,
)

const selectLines = statement(
  'order_lines_select',
  z.object({
    order_id: z.string(),
    sku: z.string(),
    quantity: z.int(),
    unit_price_minor: z.int(),
  }),
  `select l.order_id, l.sku, l.quantity, l.unit_price_minor
   from unnest($1::uuid[]) as k (order_id) join order_lines l on l.order_id = k.order_id
   order by l.order_id, l.position`,
)

// An order that has ended gets a status that the CHECK constraint refuses, so that no bug can ever take one back. A count of
// the rows in the WHERE clause would say the same, and cost a round trip to look at.
const updateOrderRows = statement(
  'orders_update',
  noRow,
  `update orders o
   set status = case when o.ended_at is null then c.status else 'ended before' end,
     cancel_reason = c.cancel_reason, ended_at = c.ended_at
   from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
     as c (order_id, status, cancel_reason, ended_at)
   where o.order_id = c.order_id`,
)

const selectClock = statement(
  'clock_select',
  z.object({ now: z.date() }),
  `select date_trunc('milliseconds', now()) as now`,
)

/** The database's clock: the one that every process compares deadlines with. */
export async function readClock(tx: Tx): Promise<Date> {
  const [row] = await tx.run(selectClock)
  if (row === undefined) throw new AppError('no-clock', 'no time', { retry: 'permanent' })
  return row.now
}

/** Inserts new orders with their lines. */
export function insertOrders(
  tx: Tx,
  placed: readonly { readonly order: PendingOrder; readonly lines: readonly PricedLine[] }[],
): void {
  if (placed.length === 0) return
  const orders = placed.map(({ order }) => order)
  const lines = placed.flatMap(({ order: { orderId }, lines: of }) =>
    of.map((line, position) => ({ orderId, position, ...line })),
  )
  void tx.execute(insertOrderRows, [
    orders.map((order) => order.orderId),
    orders.map((order) => order.customerId),
    orders.map((order) => order.coordination),
    orders.map((order) => order.priority),
    orders.map((order) => order.currency),
    orders.map((order) => order.amountMinor),
    orders.map((order) => order.placedAt.toISOString()),
    orders.map((order) => order.dueAt.toISOString()),
  ])
  void tx.execute(insertLineRows, [
    lines.map((line) => line.orderId),
    lines.map((line) => line.position),
    lines.map((line) => line.sku),
    lines.map((line) => line.quantity),
    lines.map((line) => line.unitPriceMinor),
  ])
}

/** Locks orders in the order of their ids; those that do not exist are left out. */
export async function lockOrders(tx: Tx, orderIds: readonly string[]): Promise<Map<string, Order>> {
  if (orderIds.length === 0) return new Map()
  const rows = await tx.run(lockOrderRows, [orderIds])
  return new Map(rows.map((row) => [row.order_id, toOrder(row)]))
}

/** Locks pending choreographed orders whose time is up by the database's clock, the longest overdue first, passing over locked ones. */
export async function lockDueOrders(tx: Tx, limit: number): Promise<Order[]> {
  const rows = await tx.run(lockDueRows, [limit])
  return rows.map(toOrder)
}

/** The lines of orders, in the customer's order. */
export async function readLines(
  tx: Tx,
  orderIds: readonly string[],
): Promise<Map<string, PricedLine[]>> {
  if (orderIds.length === 0) return new Map()
  const lines = new Map<string, PricedLine[]>(orderIds.map((orderId) => [orderId, []]))
  for (const row of await tx.run(selectLines, [orderIds])) {
    const { sku, quantity, unit_price_minor: unitPriceMinor } = row
    lines.get(row.order_id)?.push({ sku, quantity, unitPriceMinor })
  }
  return lines
}

/**
 * Writes the state of orders that the transaction has locked. Fails the transaction when one of them had ended before. Like
 * every write here it is not awaited: the commit awaits it, so that all of them go out in one round trip.
 */
export function saveOrders(tx: Tx, orders: readonly Order[]): void {
  if (orders.length === 0) return
  void tx.execute(updateOrderRows, [
    orders.map((order) => order.orderId),
    orders.map((order) => order.status),
    orders.map((order) => ('cancelReason' in order ? order.cancelReason : null)),
    orders.map((order) => ('endedAt' in order ? order.endedAt.toISOString() : null)),
  ])
}

function toOrder(row: OrderRow): Order {
  const common = {
    orderId: row.order_id,
    customerId: row.customer_id,
    coordination: row.coordination,
    priority: row.priority,
    currency: row.currency,
    amountMinor: row.amount_minor,
    placedAt: row.placed_at,
    dueAt: row.due_at,
  }
  switch (row.status) {
    case 'pending':
      return { ...common, status: row.status }
    case 'cancelling':
      return { ...common, status: row.status, cancelReason: row.cancel_reason }
    case 'confirmed':
      return { ...common, status: row.status, endedAt: row.ended_at }
    case 'cancelled':
      return {
        ...common,
        status: row.status,
        cancelReason: row.cancel_reason,
        endedAt: row.ended_at,
      }
  }
}
