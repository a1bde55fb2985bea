import { sql } from 'drizzle-orm'
import {
  bigint,
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
import type { Message, Severity } from './alert.ts'
import type { ChannelName } from './channels/channel.ts'

const at = () => timestamp({ withTimezone: true })
const id = () => bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity()

/** A condition while it holds, and afterwards as history. While it holds there is one row of its key. */
export const alerts = pgTable(
  'alerts',
  {
    alertId: id(),
    /** What receivers know it by, over all its lives. */
    dedupKey: text().notNull(),
    rule: text().notNull(),
    source: text().notNull(),
    severity: text().$type<Severity>().notNull(),
    status: text().$type<'pending' | 'firing' | 'resolved'>().notNull(),
    summary: text().notNull(),
    labels: json().$type<Record<string, string>>().notNull(),
    path: text().notNull(),
    runbook: text().notNull(),
    /** The highest order of magnitude that was told. */
    level: integer().notNull(),
    startsAt: at().notNull(),
    quietSince: at(),
    endsAt: at(),
  },
  (table) => [
    uniqueIndex('alerts_live').on(table.dedupKey).where(sql`${table.status} <> 'resolved'`),
    index('alerts_rule').on(table.rule, table.startsAt),
    index('alerts_status').on(table.status, table.alertId),
    index('alerts_ended').on(table.endsAt).where(sql`${table.status} = 'resolved'`),
    check('alerts_status', sql`${table.status} in ('pending', 'firing', 'resolved')`),
    check('alerts_ended', sql`(${table.status} = 'resolved') = (${table.endsAt} is not null)`),
  ],
)

/** What is to be told on one channel: written in the transaction that changed the alert, so that it cannot be lost. */
export const notifications = pgTable(
  'notifications',
  {
    /** In the order in which they are told. */
    notificationId: id(),
    /** Null for a heartbeat. */
    alertId: bigint({ mode: 'number' }),
    dedupKey: text().notNull(),
    channel: text().$type<ChannelName>().notNull(),
    kind: text().$type<Message['kind']>().notNull(),
    message: json().$type<Message>().notNull(),
    status: text().$type<'pending' | 'sent' | 'failed'>().notNull().default('pending'),
    attempts: integer().notNull().default(0),
    nextAttemptAt: at().notNull().defaultNow(),
    /** What the last attempt failed with. */
    lastError: text(),
    /** The notification that could not be delivered, which this one stands in for. */
    fallbackOf: bigint({ mode: 'number' }),
    createdAt: at().notNull().defaultNow(),
    endedAt: at(),
  },
  (table) => [
    index('notifications_due')
      .on(table.channel, table.nextAttemptAt)
      .where(sql`${table.status} = 'pending'`),
    index('notifications_order')
      .on(table.channel, table.dedupKey, table.notificationId)
      .where(sql`${table.status} = 'pending'`),
    index('notifications_alert').on(table.alertId),
    index('notifications_kind').on(table.kind, table.createdAt),
    index('notifications_status').on(table.status, table.notificationId),
    index('notifications_ended').on(table.endedAt).where(sql`${table.status} <> 'pending'`),
    uniqueIndex('notifications_fallback').on(table.fallbackOf),
    check('notifications_status', sql`${table.status} in ('pending', 'sent', 'failed')`),
    check('notifications_kind', sql`${table.kind} in ('firing', 'resolved', 'heartbeat')`),
  ],
)

/** Until when a receiver asked to be left alone. */
export const channelPauses = pgTable('channel_pauses', {
  channel: text().$type<ChannelName>().primaryKey(),
  until: at().notNull(),
})

/** Which process evaluates. One row. */
export const alertingLease = pgTable('alerting_lease', {
  name: text().primaryKey(),
  owner: uuid().notNull(),
  expiresAt: at().notNull(),
})
