import { sql } from 'drizzle-orm'
import {
  bigint,
  check,
  customType,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core'

const bytea = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

/**
 * Messages that their consumer could not apply, from the moment at which the broker was told that they are handled. The row is
 * the gate: while it is there nobody else applies the message, and the transaction of its effect deletes it.
 */
export const parkedMessage = pgTable(
  'parked_message',
  {
    consumer: text().notNull(),
    /** What the inbox knows it by. */
    messageId: uuid().notNull(),
    /** The order of parking, which is the order of a key. */
    id: bigint({ mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    /** What orders it. A message that holds back no other one has a key of its own. */
    key: text().notNull(),
    type: text(),
    transport: text().$type<'kafka' | 'rabbitmq'>().notNull(),
    position: text().notNull(),
    headers: json().$type<Record<string, string>>().notNull(),
    body: bytea().notNull(),
    status: text().$type<'retrying' | 'waiting' | 'dead'>().notNull(),
    attempts: integer().notNull(),
    nextAttemptAt: timestamp({ withTimezone: true }).notNull(),
    /** What it failed with, the last time. Null for one that waits behind another and was never tried. */
    reason: text(),
    errorCode: text(),
    errorMessage: text(),
    errorStack: text(),
    firstFailedAt: timestamp({ withTimezone: true }),
    lastFailedAt: timestamp({ withTimezone: true }),
    /** When a dead letter first told of it; its end is then told too. */
    deadLetteredAt: timestamp({ withTimezone: true }),
    redriveId: uuid(),
    parkedAt: timestamp({ withTimezone: true }).notNull().default(sql`clock_timestamp()`),
  },
  (table) => [
    // No index begins with the consumer: on a table without statistics Postgres took any of those for the primary key, and
    // walked over all that is parked for each message.
    primaryKey({ columns: [table.messageId, table.consumer] }),
    index('parked_message_due')
      .on(table.nextAttemptAt, table.consumer)
      .where(sql`status <> 'dead'`),
    index('parked_message_key').on(table.key, table.consumer, table.id),
    check('parked_message_status', sql`status in ('retrying', 'waiting', 'dead')`),
  ],
)

/**
 * The processes of each consumer. A row is deleted at a clean stop, so one whose heartbeat has ended tells of a process that was
 * killed, and `marked_message_ids` of the messages that it was handling at that moment, with nothing else beside them.
 */
export const consumerRun = pgTable(
  'consumer_run',
  {
    consumer: text().notNull(),
    instance: uuid().notNull(),
    startedAt: timestamp({ withTimezone: true }).notNull().default(sql`clock_timestamp()`),
    heartbeatAt: timestamp({ withTimezone: true }).notNull().default(sql`clock_timestamp()`),
    markedMessageIds: uuid().array(),
  },
  (table) => [primaryKey({ columns: [table.consumer, table.instance] })],
)
