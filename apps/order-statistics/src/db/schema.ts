import { sql } from 'drizzle-orm'
import { bigint, check, pgTable, primaryKey, text, timestamp } from 'drizzle-orm/pg-core'
import type { TallyKind } from '../tally.ts'

export { inbox } from '@edp/idempotency'
export { consumerRun, parkedMessage } from '@edp/messaging'
export { outbox, outboxDead, outboxLease } from '@edp/outbox'

/** Orders to which something happened in one minute: by currency, cancelled ones by reason. */
export const tallies = pgTable(
  'tallies',
  {
    minute: timestamp({ withTimezone: true }).notNull(),
    kind: text().$type<TallyKind>().notNull(),
    label: text().notNull(),
    orders: bigint({ mode: 'number' }).notNull(),
    amountMinor: bigint({ mode: 'number' }).notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.minute, table.kind, table.label] }),
    check('tallies_kind', sql`${table.kind} in ('placed', 'confirmed', 'cancelled')`),
    check('tallies_amount', sql`${table.amountMinor} between 0 and 9007199254740991`),
  ],
)
