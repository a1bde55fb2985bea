import { noRow, statement, type Tx } from '@edp/runtime'
import type { TimelineEntry } from '../timeline.ts'

// The sequence is drawn after the sort, so entries of one transaction keep the order in which they were given. JSON comes as lines,
// which it cannot contain itself: escaping every quote of it for an array costs 0.8 µs an entry here, 0.6 in Postgres.
const insertEntries = statement(
  'order_timeline_insert',
  noRow,
  `insert into order_timeline (order_id, at, type, message_id, causation_id, source, detail)
   select order_id, at, type, message_id, causation_id, source, nullif(detail, 'null')::json
   from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::text[], $6::text[],
     string_to_array($7, E'\\n'))
     with ordinality as t (order_id, at, type, message_id, causation_id, source, detail, position)
   order by position`,
)

/** Adds entries to the timelines of their orders, in the order given. */
export function insertTimeline(tx: Tx, entries: readonly TimelineEntry[]): void {
  if (entries.length === 0) return
  void tx.execute(insertEntries, [
    entries.map((entry) => entry.orderId),
    entries.map((entry) => entry.at.toISOString()),
    entries.map((entry) => entry.type),
    entries.map((entry) => entry.messageId),
    entries.map((entry) => entry.causationId),
    entries.map((entry) => entry.source),
    entries.map((entry) => JSON.stringify(entry.detail)).join('\n'),
  ])
}
