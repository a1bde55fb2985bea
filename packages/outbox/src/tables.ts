import { sql } from 'drizzle-orm'
import { bigint, json, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

/**
 * Messages that were committed and not yet published. A row is written once, deleted once and never updated, so there
 * is no status and no second index; the migration sets aggressive autovacuum.
 */
export const outbox = pgTable(
  'outbox',
  {
    transport: text().$type<'kafka' | 'rabbitmq'>().notNull(),
    id: bigint({ mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    messageId: uuid().notNull(),
    destination: text().notNull(),
    key: text().notNull(),
    type: text().notNull(),
    payload: json().notNull(),
    headers: json().$type<Record<string, string>>().notNull(),
    createdAt: timestamp({ withTimezone: true }).notNull().default(sql`clock_timestamp()`),
  },
  (table) => [primaryKey({ columns: [table.transport, table.id] })],
)

/** Which relay drains which transport of this database, and until when. */
export const outboxLease = pgTable('outbox_lease', {
  transport: text().primaryKey(),
  owner: text().notNull(),
  epoch: bigint({ mode: 'number' }).notNull(),
  expiresAt: timestamp({ withTimezone: true }).notNull(),
})
