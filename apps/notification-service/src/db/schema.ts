import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  index,
  integer,
  json,
  pgTable,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Coordination } from '@edp/event-schemas'
import type { Content, Kind, Status } from '../domain/notification.ts'

export { inbox } from '@edp/idempotency'
export { consumerRun, parkedMessage } from '@edp/messaging'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'

const at = () => timestamp({ withTimezone: true })

/**
 * One row for each e-mail that is owed. It is the truth: a job in Redis only says that somebody should look at its row, so Redis may
 * forget all of them, or have some twice.
 */
export const notifications = pgTable(
  'notifications',
  {
    /** Also the job's id. */
    id: uuid().primaryKey(),
    kind: text().$type<Kind>().notNull(),
    orderId: uuid(),
    recipient: text().notNull(),
    content: json().$type<Content>().notNull(),
    status: text().$type<Status>().notNull(),
    dueAt: at().notNull(),
    /** When its job was last seen in Redis, or added; null: to be added. */
    queuedAt: at(),
    /** How often it was redriven. A job of an earlier round is not this one's. */
    round: integer().notNull().default(0),
    /** Who is sending it, and until when nobody else may. */
    leaseOwner: uuid(),
    leaseUntil: at(),
    /** Attempts that failed, in this round. */
    attempts: integer().notNull().default(0),
    errorCode: text(),
    errorMessage: text(),
    firstFailedAt: at(),
    lastFailedAt: at(),
    sentAt: at(),
    /** What the SMTP server answered. */
    smtpResponse: text(),
    /** Whether a dead letter stands for it, and the redrive that tries it. */
    isDeadLettered: boolean().notNull().default(false),
    redriveId: uuid(),
    causationId: uuid(),
    coordination: text().$type<Coordination>(),
    traceparent: text(),
    createdAt: at().notNull().defaultNow(),
  },
  (table) => [
    check(
      'notifications_kind',
      sql`${table.kind} in ('confirmation', 'cancellation', 'review-request', 'digest')`,
    ),
    check('notifications_status', sql`${table.status} in ('pending', 'sent', 'cancelled', 'dead')`),
    check('notifications_sent', sql`(${table.status} = 'sent') = (${table.sentAt} is not null)`),
    uniqueIndex('notifications_order').on(table.orderId, table.kind),
    // Each has only what somebody still has to do something about, so they stay small however many were sent.
    // By kind first, which no other index has: the feeder would else walk over all that waits for its hour.
    index('notifications_to_add')
      .on(table.kind, table.dueAt)
      .where(sql`${table.status} = 'pending' and ${table.queuedAt} is null`),
    index('notifications_to_remove')
      .on(table.queuedAt)
      .where(sql`${table.status} = 'cancelled' and ${table.queuedAt} is not null`),
    index('notifications_pending').on(table.dueAt).where(sql`${table.status} = 'pending'`),
    index('notifications_created').on(table.createdAt),
  ],
)
