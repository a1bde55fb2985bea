import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { kinds } from '../domain/notification.ts'

const feedRow = z.object({
  id: z.string(),
  kind: z.enum(kinds),
  round: z.number(),
  due_in_ms: z.number(),
})
/** A notification that is to have a job. */
export type FeedRow = z.infer<typeof feedRow>

const columns = `id, kind, round, (extract(epoch from due_at - now()) * 1000)::float8 as due_in_ms`

// Without a lock: two processes may add the same job, which is one by its id.
const toAdd = statement(
  'feed_rows_to_add',
  feedRow,
  `select ${columns} from notifications where status = 'pending' and queued_at is null order by kind, due_at limit $1`,
)

const toRemove = statement(
  'feed_rows_to_remove',
  z.object({ id: z.string() }),
  `select id from notifications where status = 'cancelled' and queued_at is not null order by queued_at limit $1`,
)

const toCompare = statement(
  'feed_rows_to_compare',
  feedRow,
  `select ${columns} from notifications
   where status = 'pending' and due_at <= now() - $2 * interval '1 millisecond'
     and queued_at <= now() - $2 * interval '1 millisecond' and coalesce(lease_until, '-infinity') < now()
   order by due_at limit $1`,
)

// Locked before they are changed, in the order of the ids as everybody does it: an update takes rows as its plan happens to find them.
// Also one that was cancelled meanwhile: its job is there now, and is to be removed.
const seen = statement(
  'feed_rows_seen',
  noRow,
  `update notifications n set queued_at = now()
   from (
     select l.id from unnest($1::uuid[], $2::integer[]) as s (id, round)
     join notifications l on l.id = s.id and l.round = s.round
     order by l.id
     for update of l
   ) as locked
   where n.id = locked.id`,
)

const removed = statement(
  'feed_rows_removed',
  noRow,
  `update notifications n set queued_at = null
   from (
     select l.id from unnest($1::uuid[]) as s (id)
     join notifications l on l.id = s.id and l.status = 'cancelled'
     order by l.id
     for update of l
   ) as locked
   where n.id = locked.id`,
)

/** Notifications without a job, cancellations first. */
export function rowsToAdd(tx: Tx, limit: number): Promise<FeedRow[]> {
  return tx.run(toAdd, [limit])
}

/** Cancelled notifications whose job may still be there. */
export async function rowsToRemove(tx: Tx, limit: number): Promise<string[]> {
  return (await tx.run(toRemove, [limit])).map(({ id }) => id)
}

/** What has been due for `afterMs`, is unsent, without a lease, and whose job nobody has seen for as long. */
export function rowsToCompare(
  tx: Tx,
  { limit, afterMs }: { limit: number; afterMs: number },
): Promise<FeedRow[]> {
  return tx.run(toCompare, [limit, afterMs])
}

/** The jobs of these are in Redis now. A row that was redriven meanwhile is left for its new job. */
export async function markSeen(tx: Tx, rows: readonly FeedRow[]): Promise<void> {
  await tx.execute(seen, [rows.map(({ id }) => id), rows.map(({ round }) => round)])
}

/** The jobs of these are in Redis no more. */
export async function markRemoved(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.execute(removed, [ids])
}
