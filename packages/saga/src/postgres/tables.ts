import { sql } from 'drizzle-orm'
import {
  bigint,
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
import type { Direction } from '../definition.ts'
import type { Cause, Effect, Note, SagaInput, SagaStatus, Trouble } from '../state.ts'

/**
 * One row a saga: its state, and which version of which definition it runs under until its end. A row is never deleted when
 * the saga ends: an answer may come days later, and has to find that there is nothing left to do.
 */
export const saga = pgTable(
  'saga',
  {
    id: uuid().primaryKey(),
    definition: text().notNull(),
    definitionVersion: integer().notNull(),
    /** What the saga is about; one saga of a definition for each. */
    businessKey: text().notNull(),
    status: text().$type<SagaStatus>().notNull(),
    /** Null once it has ended, like all that follows from waiting. */
    step: text(),
    direction: text().$type<Direction>(),
    attempt: integer(),
    dueAt: timestamp({ withTimezone: true }),
    silentMs: bigint({ mode: 'number' }),
    trouble: text().$type<Trouble>(),
    cause: json().$type<Cause>(),
    context: json().notNull(),
    skipped: json().$type<readonly string[]>().notNull(),
    deadlineAt: timestamp({ withTimezone: true }),
    /** Rises with every change of the state, and with nothing else: what If-Match compares. */
    version: integer().notNull(),
    /** The last row of its log. */
    seq: integer().notNull(),
    startedAt: timestamp({ withTimezone: true }).notNull(),
    /** When the present step and direction began. */
    stepAt: timestamp({ withTimezone: true }).notNull(),
    changedAt: timestamp({ withTimezone: true }).notNull(),
    endedAt: timestamp({ withTimezone: true }),
  },
  (table) => [
    unique('saga_business_key').on(table.definition, table.businessKey),
    // The timers read nothing else.
    index('saga_due').on(table.dueAt).where(sql`due_at is not null`),
    // What is live: for counting, and for operators who look for what is stuck among millions that have ended.
    index('saga_live').on(table.status, table.id).where(sql`ended_at is null`),
    check(
      'saga_status',
      sql`status in ('running', 'compensating', 'fencing', 'needs_human', 'completed', 'compensated')`,
    ),
    check('saga_ended', sql`(ended_at is not null) = (status in ('completed', 'compensated'))`),
    check(
      'saga_waiting',
      sql`num_nonnulls(step, direction, attempt, due_at, silent_ms) = case when ended_at is null then 5 else 0 end`,
    ),
    check('saga_trouble', sql`(trouble is not null) = (status = 'needs_human')`),
  ],
)

/** One row a decision, inserted only: what came, what was decided and why, who it came from. It can be decided again. */
export const sagaLog = pgTable(
  'saga_log',
  {
    sagaId: uuid().notNull(),
    seq: integer().notNull(),
    /** Of the state after it; that of the row before where nothing has changed. */
    version: integer().notNull(),
    at: timestamp({ withTimezone: true }).notNull(),
    input: json().$type<SagaInput<unknown>>().notNull(),
    note: text().$type<Note>().notNull(),
    effects: json().$type<readonly Effect[]>().notNull(),
    /** Whose input it was: a service, `timer`, `local`, `customer`, `operator:ada`. */
    actor: text().notNull(),
    traceparent: text(),
  },
  (table) => [primaryKey({ columns: [table.sagaId, table.seq] })],
)

/** What a person did to a saga, and why: one row beside that of the log. */
export const sagaIntervention = pgTable(
  'saga_intervention',
  {
    sagaId: uuid().notNull(),
    seq: integer().notNull(),
    verb: text().$type<'retry' | 'skip' | 'cancel'>().notNull(),
    actor: text().notNull(),
    reason: text().notNull(),
    at: timestamp({ withTimezone: true }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.sagaId, table.seq] })],
)
