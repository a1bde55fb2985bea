import { json, pgTable, primaryKey, smallint, text, timestamp, uuid } from 'drizzle-orm/pg-core'

/**
 * Which consumer has applied which message. Partitioned by day on the uuid v7 and dropped by partition; the partitions
 * and their upkeep are in the migration.
 */
export const inbox = pgTable(
  'inbox',
  {
    messageId: uuid().notNull(),
    consumer: text().notNull(),
  },
  (table) => [primaryKey({ columns: [table.messageId, table.consumer] })],
)

/** The answer that was given to a request with an Idempotency-Key. `scope` is the customer. */
export const idempotencyKey = pgTable(
  'idempotency_key',
  {
    scope: text().notNull(),
    key: text().notNull(),
    /** Hash of the request: the same key with another one is refused. */
    fingerprint: text().notNull(),
    status: smallint().notNull(),
    body: json().notNull(),
    createdAt: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.scope, table.key] })],
)
