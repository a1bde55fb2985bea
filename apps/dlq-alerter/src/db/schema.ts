import { sql } from 'drizzle-orm'
import {
  check,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  text,
  timestamp,
  unique,
  uuid,
} from 'drizzle-orm/pg-core'
import type { Coordination, DeadLetterReason } from '@edp/event-schemas'

export { inbox } from '@edp/idempotency'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'
export { alertingLease, alerts, channelPauses, notifications } from '../alerts/tables.ts'

const at = () => timestamp({ withTimezone: true })

/** Where a letter comes from: as its fact says, or `dlq`, the queue of what RabbitMQ itself dead-lettered. */
export type LetterSource = 'kafka' | 'rabbitmq' | 'outbox' | 'due-work' | 'dlq'
export type LetterStatus = 'open' | 'redriving' | 'resolved' | 'archived'
export type LetterOutcome = 'applied' | 'already-applied' | 'discarded'
export type RedriveState = 'running' | 'paused' | 'done' | 'cancelled'
export type CanaryState = 'none' | 'pending' | 'passed' | 'failed' | 'overridden'
export type RedriveLetterState = 'pending' | 'sent' | 'resolved' | 'failed' | 'skipped'

/**
 * Every message that a consumer could not handle. It is the letter of (consumer, message id), over all its redrives. The key is
 * indexed by its beginning, since it can be anything.
 */
export const letters = pgTable(
  'letters',
  {
    letterId: uuid().primaryKey(),
    consumer: text().notNull(),
    messageId: uuid().notNull(),
    groupId: uuid().notNull(),
    source: text().$type<LetterSource>().notNull(),
    position: text().notNull(),
    type: text(),
    key: text(),
    correlationId: text(),
    causationId: text(),
    traceparent: text(),
    coordination: text().$type<Coordination>().notNull(),
    reason: text().$type<DeadLetterReason>().notNull(),
    errorCode: text().notNull(),
    errorMessage: text().notNull(),
    errorStack: text(),
    attempts: integer().notNull(),
    firstFailedAt: at().notNull(),
    lastFailedAt: at().notNull(),
    fingerprint: text().notNull(),
    status: text().$type<LetterStatus>().notNull(),
    outcome: text().$type<LetterOutcome>(),
    waitingBehind: integer().notNull().default(0),
    /** The content: what came in. `bytes` is the length of the whole body, of which 64 KiB may be here. */
    headers: json().$type<Record<string, string>>().notNull(),
    body: text().notNull(),
    encoding: text().$type<'utf8' | 'base64'>().notNull(),
    bytes: integer().notNull(),
    correctedBody: text(),
    /** The redrive that is under way. */
    redriveId: uuid(),
    /** When the newest fact was said that was applied here: an older one, read again, changes nothing. */
    factAt: at().notNull(),
    ingestedAt: at().notNull().defaultNow(),
    updatedAt: at().notNull().defaultNow(),
  },
  (table) => [
    unique('letters_identity').on(table.consumer, table.messageId),
    index('letters_status').on(table.status, table.letterId),
    index('letters_group').on(table.groupId, table.status, table.letterId),
    // For their removal.
    index('letters_ended')
      .on(table.updatedAt)
      .where(sql`${table.status} in ('resolved', 'archived')`),
    check('letters_status', sql`${table.status} in ('open', 'redriving', 'resolved', 'archived')`),
    check(
      'letters_redriving',
      sql`(${table.status} = 'redriving') = (${table.redriveId} is not null)`,
    ),
  ],
)

/**
 * What letters are found by: the beginnings of type, key, error and body, in lower case, with an index of trigrams. A table of its own,
 * since that index costs more than all else of a letter, and with it every change of a status would pay for it again.
 */
export const letterTexts = pgTable('letter_texts', {
  letterId: uuid().primaryKey(),
  text: text().notNull(),
})

/** Resolutions that came before their letter did: the letter is then resolved when it comes. */
export const earlyResolutions = pgTable(
  'early_resolutions',
  {
    consumer: text().notNull(),
    messageId: uuid().notNull(),
    outcome: text().$type<LetterOutcome>().notNull(),
    factAt: at().notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.consumer, table.messageId] }),
    index('early_resolutions_said').on(table.factAt),
  ],
)

/**
 * Letters with the same cause. `group_id` is made of the fingerprint, so that nobody has to look it up. The counts are kept by
 * every transaction that changes letters, in one statement after the letters' own.
 */
export const letterGroups = pgTable(
  'letter_groups',
  {
    groupId: uuid().primaryKey(),
    fingerprint: text().notNull(),
    consumer: text().notNull(),
    type: text(),
    /** Of the letter that failed last. */
    reason: text().$type<DeadLetterReason>().notNull(),
    errorCode: text().notNull(),
    errorMessage: text().notNull(),
    open: integer().notNull(),
    redriving: integer().notNull(),
    resolved: integer().notNull(),
    archived: integer().notNull(),
    firstSeenAt: at().notNull(),
    lastSeenAt: at().notNull(),
    /** No alert is raised for the group until then, or until it has so many open letters. */
    ignoredUntil: at(),
    ignoredUntilCount: integer(),
  },
  (table) => [
    index('letter_groups_last_seen').on(table.lastSeenAt, table.groupId),
    check(
      'letter_groups_counts',
      sql`${table.open} >= 0 and ${table.redriving} >= 0 and ${table.resolved} >= 0 and ${table.archived} >= 0`,
    ),
  ],
)

/** What people wrote to a letter. */
export const letterNotes = pgTable(
  'letter_notes',
  {
    noteId: uuid().primaryKey(),
    letterId: uuid().notNull(),
    by: text().notNull(),
    text: text().notNull(),
    at: at().notNull().defaultNow(),
  },
  (table) => [index('letter_notes_letter').on(table.letterId, table.noteId)],
)

/** Everything that was done to a letter, a group or a redrive: by whom, why, and what it was before and after. */
export const auditEntries = pgTable(
  'audit_entries',
  {
    auditId: uuid().primaryKey(),
    at: at().notNull().defaultNow(),
    /** A person, or the consumer whose message it was. */
    by: text().notNull(),
    action: text().notNull(),
    letterId: uuid(),
    groupId: uuid(),
    redriveId: uuid(),
    why: text(),
    before: json().$type<Record<string, unknown>>(),
    after: json().$type<Record<string, unknown>>(),
  },
  (table) => [
    index('audit_entries_letter').on(table.letterId, table.auditId),
    index('audit_entries_group').on(table.groupId, table.auditId),
    index('audit_entries_redrive').on(table.redriveId, table.auditId),
  ],
)

/** Sending letters back, as one operation. */
export const redrives = pgTable(
  'redrives',
  {
    redriveId: uuid().primaryKey(),
    selection: json().$type<Record<string, unknown>>().notNull(),
    by: text().notNull(),
    why: text().notNull(),
    ratePerSecond: integer().notNull(),
    /** So many go first; the others follow when all of them are resolved. */
    canary: integer().notNull(),
    canaryState: text().$type<CanaryState>().notNull(),
    state: text().$type<RedriveState>().notNull(),
    /** By the database's clock: no letter is sent before. */
    nextSendAt: at().notNull().defaultNow(),
    createdAt: at().notNull().defaultNow(),
    endedAt: at(),
  },
  (table) => [
    index('redrives_running').on(table.nextSendAt).where(sql`${table.state} = 'running'`),
    check('redrives_state', sql`${table.state} in ('running', 'paused', 'done', 'cancelled')`),
  ],
)

/** The letters of a redrive, and what became of each. */
export const redriveLetters = pgTable(
  'redrive_letters',
  {
    redriveId: uuid().notNull(),
    letterId: uuid().notNull(),
    state: text().$type<RedriveLetterState>().notNull(),
    sentAt: at(),
    endedAt: at(),
  },
  (table) => [
    primaryKey({ columns: [table.redriveId, table.letterId] }),
    index('redrive_letters_state').on(table.redriveId, table.state, table.letterId),
  ],
)
