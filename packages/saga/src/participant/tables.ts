import { json, pgTable, primaryKey, text, timestamp, uuid } from 'drizzle-orm/pg-core'

/**
 * What a participant has done for a saga: one row for each step and direction. It, and not the inbox, recognises a
 * command that was sent again under a new message id, and an undo that came before its do.
 */
export const stepLedger = pgTable(
  'step_ledger',
  {
    sagaId: uuid().notNull(),
    step: text().notNull(),
    direction: text().$type<'do' | 'undo'>().notNull(),
    outcome: text().$type<'started' | 'ok' | 'refused' | 'tombstone'>().notNull(),
    /** What was answered, to be answered again. */
    reply: json(),
    at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.sagaId, table.step, table.direction] })],
)
