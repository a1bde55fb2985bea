import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  index,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'

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

/**
 * Rows that can never be published (`dead`), and under the policy `halt` the later rows of their keys (`waiting`), with
 * their old ids. The statement that writes one here deletes it from the outbox.
 */
export const outboxDead = pgTable(
  'outbox_dead',
  {
    transport: text().$type<'kafka' | 'rabbitmq'>().notNull(),
    id: bigint({ mode: 'number' }).notNull(),
    messageId: uuid().notNull(),
    destination: text().notNull(),
    key: text().notNull(),
    type: text().notNull(),
    payload: json().notNull(),
    headers: json().$type<Record<string, string>>().notNull(),
    createdAt: timestamp({ withTimezone: true }).notNull(),
    status: text().$type<'dead' | 'waiting'>().notNull(),
    /** What the publisher said of a dead one. */
    errorCode: text(),
    errorMessage: text(),
    movedAt: timestamp({ withTimezone: true }).notNull().default(sql`clock_timestamp()`),
  },
  (table) => [
    primaryKey({ columns: [table.transport, table.id] }),
    index('outbox_dead_key').on(table.transport, table.destination, table.key, table.id),
    check('outbox_dead_status', sql`${table.status} in ('dead', 'waiting')`),
  ],
)
