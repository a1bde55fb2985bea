import { newId } from '@edp/event-schemas'
import { noRow, statement, type Tx } from '@edp/runtime'

/** Something that was done: by whom, why, and what it was before and after. */
export interface AuditEntry {
  /** A person, or the consumer that said it. */
  readonly by: string
  /** `letter.archived`, `group.ignored`, `redrive.started`, … */
  readonly action: string
  readonly letterId?: string
  readonly groupId?: string
  readonly redriveId?: string
  readonly why?: string
  readonly before?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
}

const insert = statement(
  'audit_entries_insert',
  noRow,
  `insert into audit_entries (audit_id, by, action, letter_id, group_id, redrive_id, why, before, after)
   select audit_id, by, action, letter_id, group_id, redrive_id, why, before::json, after::json
   from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[])
     as a (audit_id, by, action, letter_id, group_id, redrive_id, why, before, after)`,
)

/** Records what is done, with it: the rows are written at the commit, all in one statement. */
export function record(tx: Tx, entries: readonly AuditEntry[]): void {
  if (entries.length > 0) tx.collect(insertAll, entries)
}

function insertAll(tx: Tx, entries: AuditEntry[]): Promise<number> {
  return tx.execute(insert, [
    entries.map(() => newId()),
    entries.map(({ by }) => by),
    entries.map(({ action }) => action),
    entries.map(({ letterId }) => letterId ?? null),
    entries.map(({ groupId }) => groupId ?? null),
    entries.map(({ redriveId }) => redriveId ?? null),
    entries.map(({ why }) => why ?? null),
    entries.map(({ before }) => (before ? JSON.stringify(before) : null)),
    entries.map(({ after }) => (after ? JSON.stringify(after) : null)),
  ])
}
