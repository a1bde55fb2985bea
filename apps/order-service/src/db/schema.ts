import type { CancelReason, Coordination, Priority } from '@edp/event-schemas'
import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  smallint,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import type { OrderStatus } from '../domain/order.ts'
import type { TimelineDetail } from '../timeline.ts'

export { idempotencyKey, inbox } from '@edp/idempotency'
export { consumerRun, parkedMessage } from '@edp/messaging'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'
export { saga, sagaIntervention, sagaLog } from '@edp/saga/postgres'

/** What can be ordered, and its price. */
export const products = pgTable('products', {
  sku: text().primaryKey(),
  name: text().notNull(),
  unitPriceMinor: bigint({ mode: 'number' }).notNull(),
  currency: text().notNull(),
})

/** One row an order: the only place where it is decided whether an order is confirmed or cancelled. */
export const orders = pgTable(
  'orders',
  {
    orderId: uuid().primaryKey(),
    customerId: text().notNull(),
    status: text().$type<OrderStatus>().notNull(),
    coordination: text().$type<Coordination>().notNull(),
    priority: text().$type<Priority>().notNull(),
    currency: text().notNull(),
    amountMinor: bigint({ mode: 'number' }).notNull(),
    cancelReason: text().$type<CancelReason>(),
    placedAt: timestamp({ withTimezone: true }).notNull(),
    dueAt: timestamp({ withTimezone: true }).notNull(),
    endedAt: timestamp({ withTimezone: true }),
  },
  (table) => [
    // The deadline loop reads nothing else; an orchestrated order has the deadline of its saga.
    index('orders_due')
      .on(table.dueAt)
      .where(sql`status = 'pending' and coordination = 'choreographed'`),
    // Ids are uuid v7, so these give the newest first and a cursor that inserts do not move.
    index('orders_by_customer').on(table.customerId, table.orderId),
    index('orders_by_status').on(table.status, table.orderId),
    check('orders_status', sql`status in ('pending', 'cancelling', 'confirmed', 'cancelled')`),
    check('orders_ended', sql`(ended_at is not null) = (status in ('confirmed', 'cancelled'))`),
    check(
      'orders_reason',
      sql`(cancel_reason is not null) = (status in ('cancelling', 'cancelled'))`,
    ),
  ],
)

/** The lines of an order, in the customer's order. No foreign key: they are written with their order or not at all. */
export const orderLines = pgTable(
  'order_lines',
  {
    orderId: uuid().notNull(),
    position: smallint().notNull(),
    sku: text().notNull(),
    quantity: integer().notNull(),
    unitPriceMinor: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.position] })],
)

/** What happened to an order, as this service saw it: inserted only, in the order of `seq`. */
export const orderTimeline = pgTable(
  'order_timeline',
  {
    orderId: uuid().notNull(),
    seq: bigint({ mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    at: timestamp({ withTimezone: true }).notNull(),
    type: text().notNull(),
    /** Null for what is not a message: a customer's cancel, a deadline. */
    messageId: uuid(),
    causationId: text(),
    source: text().notNull(),
    detail: json().$type<TimelineDetail>(),
  },
  (table) => [primaryKey({ columns: [table.orderId, table.seq] })],
)
