import { statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { LetterFacts } from './letter-conditions.ts'

// What one evaluation can hold in its hands. More groups at once than this is a flood, whatever they are.
const groupsReadMax = 10_000

const recent = { letters: z.int() }
const factsRow = z.union([
  z.object({
    ...recent,
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
  }),
  z.object({ ...recent, group_id: z.null() }),
])

// One statement, so that both are of the same moment: letters counted before a flood has come, or after it was settled, next to its
// groups would tell the groups. The ids of letters are uuids of version 7: their order is that of their coming.
const selectFacts = statement(
  'alerts_select_letter_facts',
  factsRow,
  `with recent as (
     select count(*)::int as letters
     from letters l join letter_groups g on g.group_id = l.group_id
     where l.letter_id >= (lpad(to_hex((extract(epoch from now() - interval '1 minute') * 1000)::bigint), 12, '0')
         || repeat('0', 20))::uuid
       and not coalesce(now() < g.ignored_until, false) and not coalesce(g.open < g.ignored_until_count, false)
   ), unsettled as (
     select g.group_id, g.consumer, g.type, g.reason, g.error_code, left(g.error_message, 500) as error_message, g.open, g.redriving,
       g.ignored_until, g.ignored_until_count, coalesce(oldest.ingested_at, g.last_seen_at) as oldest_open_at
     from letter_groups g
     left join lateral (
       select l.ingested_at from letters l where l.group_id = g.group_id and l.status = 'open' order by l.letter_id limit 1
     ) oldest on true
     where g.open + g.redriving > 0
     order by g.group_id limit $1
   )
   select recent.letters, unsettled.* from recent left join unsettled on true`,
)

/** The one place where alerting reads the tables of letters and groups. */
export async function readLetterFacts(tx: Tx): Promise<LetterFacts> {
  const rows = await tx.run(selectFacts, [groupsReadMax])
  const groups = rows.flatMap((row) => (row.group_id === null ? [] : [groupOf(row)]))
  return {
    groups,
    truncated: groups.length === groupsReadMax,
    lettersLastMinute: rows[0]?.letters ?? 0,
  }
}

function groupOf(
  row: Extract<z.infer<typeof factsRow>, { group_id: string }>,
): LetterFacts['groups'][number] {
  return {
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
  }
}
