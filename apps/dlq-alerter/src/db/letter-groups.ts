import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { GroupChange } from '../domain/group-changes.ts'
import type { Letter } from '../domain/letter.ts'

const insert = statement(
  'letter_groups_insert',
  noRow,
  `insert into letter_groups (group_id, fingerprint, consumer, type, reason, error_code, error_message,
     open, redriving, resolved, archived, first_seen_at, last_seen_at)
   select group_id, fingerprint, consumer, type, reason, error_code, error_message, 0, 0, 0, 0, first_seen_at, last_seen_at
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
     $8::timestamptz[], $9::timestamptz[])
     as n (group_id, fingerprint, consumer, type, reason, error_code, error_message, first_seen_at, last_seen_at)
   order by group_id
   on conflict do nothing`,
)

// Before the update, which would lock them in the order of its join.
const lock = statement(
  'letter_groups_lock',
  z.object({
    group_id: z.string(),
    ignored_until: z.date().nullable(),
    ignored_until_count: z.int().nullable(),
    open: z.int(),
  }),
  `select g.group_id, g.ignored_until, g.ignored_until_count, g.open
   from unnest($1::uuid[]) as k (group_id)
   join letter_groups g on g.group_id = k.group_id
   order by g.group_id
   for update of g`,
)

const change = statement(
  'letter_groups_change',
  noRow,
  `update letter_groups g set open = g.open + c.open, redriving = g.redriving + c.redriving,
     resolved = g.resolved + c.resolved, archived = g.archived + c.archived
   from unnest($1::uuid[], $2::integer[], $3::integer[], $4::integer[], $5::integer[])
     as c (group_id, open, redriving, resolved, archived)
   where g.group_id = c.group_id`,
)

const failedAgain = statement(
  'letter_groups_failed',
  noRow,
  `update letter_groups g set reason = f.reason, error_code = f.error_code, error_message = f.error_message,
     first_seen_at = least(g.first_seen_at, f.first_seen_at), last_seen_at = greatest(g.last_seen_at, f.last_seen_at)
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
     as f (group_id, reason, error_code, error_message, first_seen_at, last_seen_at)
   where g.group_id = f.group_id`,
)

const ignore = statement(
  'letter_groups_ignore',
  noRow,
  `update letter_groups set ignored_until = $2, ignored_until_count = $3 where group_id = $1`,
)

/** Until when nobody wants to hear of a group. */
export interface Ignoring {
  readonly ignoredUntil: Date | null
  readonly ignoredUntilCount: number | null
}

/**
 * Changes the counts of groups, new ones too, each row once and sorted, after the letters themselves were written. The commit awaits
 * the answers.
 */
export function changeGroups(tx: Tx, changes: readonly GroupChange[]): void {
  if (changes.length === 0) return
  const failed = changes.flatMap((group) => (group.failed ? [group.failed] : []))
  if (failed.length > 0) void tx.execute(insert, insertValues(failed))
  void tx.run(lock, [changes.map(({ groupId }) => groupId)])
  void tx.execute(change, [
    changes.map(({ groupId }) => groupId),
    changes.map(({ open }) => open),
    changes.map(({ redriving }) => redriving),
    changes.map(({ resolved }) => resolved),
    changes.map(({ archived }) => archived),
  ])
  if (failed.length > 0) {
    const [groupIds, , , , ...latest] = insertValues(failed)
    void tx.execute(failedAgain, [groupIds, ...latest])
  }
}

function insertValues(letters: readonly Letter[]): unknown[][] {
  const failures = letters.map(({ failure }) => failure)
  return [
    failures.map(({ groupId }) => groupId),
    failures.map(({ fingerprint }) => fingerprint),
    letters.map(({ consumer }) => consumer),
    letters.map(({ subject }) => subject.type),
    failures.map(({ reason }) => reason),
    failures.map(({ errorCode }) => errorCode),
    failures.map(({ errorMessage }) => errorMessage),
    failures.map(({ firstFailedAt }) => firstFailedAt),
    failures.map(({ lastFailedAt }) => lastFailedAt),
  ]
}

/** Locks a group: until when it is ignored, and how many letters of it are open. */
export async function lockGroup(
  tx: Tx,
  groupId: string,
): Promise<(Ignoring & { open: number }) | undefined> {
  const [row] = await tx.run(lock, [[groupId]])
  return (
    row && {
      ignoredUntil: row.ignored_until,
      ignoredUntilCount: row.ignored_until_count,
      open: row.open,
    }
  )
}

/** Writes until when a group is ignored; the commit awaits the answer. */
export function saveIgnoring(tx: Tx, groupId: string, ignoring: Ignoring): void {
  void tx.execute(ignore, [groupId, ignoring.ignoredUntil, ignoring.ignoredUntilCount])
}
