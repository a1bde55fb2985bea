import { sql } from 'drizzle-orm'
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  pgTable,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Priority } from '@edp/event-schemas'
import type { PaymentStatus } from '../domain/payment.ts'

export { inbox } from '@edp/idempotency'
export { consumerRun, parkedMessage } from '@edp/messaging'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'
export { stepLedger } from '@edp/saga/participant'

/** One row for each order that was to be paid. `due_at` is when the gateway is called next, if it is. */
export const payments = pgTable(
  'payments',
  {
    orderId: uuid().primaryKey(),
    status: text().$type<PaymentStatus>().notNull(),
    amountMinor: bigint({ mode: 'number' }).notNull(),
    currency: text().notNull(),
    paymentRef: text().notNull(),
    chargeId: text(),
    /** Why it was declined; while it is being voided, what the capture will be declined with. */
    declineCode: text(),
    refundedMinor: bigint({ mode: 'number' }).notNull().default(0),
    attempts: integer().notNull().default(0),
    dueAt: timestamp({ withTimezone: true }),
    /** The message that the present work comes from, for what is sent when it ends. */
    causationId: uuid().notNull(),
    coordination: text().$type<'choreographed' | 'orchestrated'>().notNull(),
    traceparent: text(),
    /** Of the command that is answered when that work ends; null when it comes from an event. */
    commandAttempt: integer(),
    /** Of that message: what is sent about it goes the same way. */
    priority: text().$type<Priority>().notNull().default('standard'),
    /** Whether a dead letter stands for its refund, and the redrive that tries it. */
    isDeadLettered: boolean().notNull().default(false),
    redriveId: uuid(),
    createdAt: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [
    check(
      'payments_status',
      sql`${table.status} in ('requested', 'captured', 'declined', 'voiding', 'void', 'refunding', 'refunded', 'refund_failed')`,
    ),
    check(
      'payments_open_is_due',
      sql`(${table.dueAt} is not null) = (${table.status} in ('requested', 'voiding', 'refunding', 'refund_failed'))`,
    ),
    check('payments_captured', sql`${table.status} <> 'captured' or ${table.chargeId} is not null`),
    check(
      'payments_declined',
      sql`${table.status} <> 'declined' or ${table.declineCode} is not null`,
    ),
    check('payments_refund', sql`${table.refundedMinor} between 0 and ${table.amountMinor}`),
    // Only what is open is in it, so it stays small however many payments there are.
    index('payments_due').on(table.dueAt).where(sql`${table.dueAt} is not null`),
  ],
)
