import { statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { LetterFacts } from './letter-conditions.ts'

// What one evaluation can hold in its hands. More groups at once than this is a flood, whatever they are.
const groupsReadMax = 10_000

const groupRow = z.object({
  group_id: z.string(),
  consumer: z.string(),
  type: z.string().nullable(),
  reason: z.string(),
  error_code: z.string(),
  error_message: z.string(),
  open: z.int(),
  redriving: z.int(),
  ignored_until: z.date().nullable(),
  ignored_until_count: z.int().nullable(),
  oldest_open_at: z.date(),
})

// The ids of letters are uuids of version 7: their order is that of their coming.
const selectGroups = statement(
  'alerts_select_groups',
  groupRow,
  `select g.group_id, g.consumer, g.type, g.reason, g.error_code, left(g.error_message, 500) as error_message, g.open, g.redriving,
     g.ignored_until, g.ignored_until_count, coalesce(oldest.ingested_at, g.last_seen_at) as oldest_open_at
   from letter_groups g
   left join lateral (
     select l.ingested_at from letters l where l.group_id = g.group_id and l.status = 'open' order by l.letter_id limit 1
   ) oldest on true
   where g.open + g.redriving > 0
   order by g.group_id limit $1`,
)

const countRecent = statement(
  'alerts_count_recent_letters',
  z.object({ letters: z.int() }),
  `select count(*)::int as letters
   from letters l join letter_groups g on g.group_id = l.group_id
   where l.letter_id >= (lpad(to_hex((extract(epoch from now() - interval '1 minute') * 1000)::bigint), 12, '0')
       || repeat('0', 20))::uuid
     and not coalesce(now() < g.ignored_until, false) and not coalesce(g.open < g.ignored_until_count, false)`,
)

/** The one place where alerting reads the tables of letters and groups. */
export async function readLetterFacts(tx: Tx): Promise<LetterFacts> {
  const [rows, [recent]] = await Promise.all([
    tx.run(selectGroups, [groupsReadMax]),
    tx.run(countRecent),
  ])
  return {
    truncated: rows.length === groupsReadMax,
    lettersLastMinute: recent?.letters ?? 0,
    groups: rows.map((row) => ({
      groupId: row.group_id,
      consumer: row.consumer,
      type: row.type,
      reason: row.reason,
      errorCode: row.error_code,
      errorMessage: row.error_message,
      open: row.open,
      redriving: row.redriving,
      oldestOpenAt: row.oldest_open_at,
      ignoredUntil: row.ignored_until,
      ignoredUntilCount: row.ignored_until_count,
    })),
  }
}
