import { sql } from 'drizzle-orm'
import { bigint, check, integer, json, pgTable, text, timestamp, uuid } from 'drizzle-orm/pg-core'
import type { Line } from '@edp/event-schemas'

export { inbox } from '@edp/idempotency'
export { consumerRun, parkedMessage } from '@edp/messaging'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'
export { stepLedger } from '@edp/saga/participant'

/** What the warehouse holds of each SKU. The checks are the last fence; decisions never come near them. */
export const stock = pgTable(
  'stock',
  {
    sku: text().primaryKey(),
    onHand: bigint({ mode: 'number' }).notNull(),
    reserved: bigint({ mode: 'number' }).notNull().default(0),
  },
  (table) => [
    check('stock_not_negative', sql`${table.reserved} >= 0`),
    check('stock_reserved_is_on_hand', sql`${table.onHand} >= ${table.reserved}`),
  ],
)

/** Every delivery that came in: the other side of the books. */
export const stockReceipts = pgTable(
  'stock_receipts',
  {
    receiptId: uuid().primaryKey(),
    sku: text().notNull(),
    quantity: integer().notNull(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [check('stock_receipts_positive', sql`${table.quantity} > 0`)],
)

/** What is held for each order, or was. */
export const reservations = pgTable(
  'reservations',
  {
    orderId: uuid().primaryKey(),
    status: text().$type<'held' | 'released' | 'shipped'>().notNull(),
    lines: json().$type<Line[]>().notNull(),
    heldAt: timestamp({ withTimezone: true }).notNull().defaultNow(),
    endedAt: timestamp({ withTimezone: true }),
  },
  (table) => [
    check('reservations_status', sql`${table.status} in ('held', 'released', 'shipped')`),
    check('reservations_ended', sql`(${table.status} = 'held') = (${table.endedAt} is null)`),
  ],
)
