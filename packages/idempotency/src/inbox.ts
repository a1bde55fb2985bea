import { sqlState, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'

// Sorted, so that two batches with the same messages wait for each other instead of deadlocking.
const claimMessages = statement(
  'inbox_claim',
  z.object({ message_id: z.string() }),
  `insert into inbox (message_id, consumer)
   select id, $2 from unnest($1::uuid[]) as m (id) order by id
   on conflict do nothing
   returning message_id`,
)

/**
 * Claims messages for a consumer: the ids that come back are new and belong to this transaction; the effect of every
 * other one has been committed already. Waits for a transaction that holds one of them, so it is also the fence when
 * partitions move to another process. READ COMMITTED is assumed.
 */
export async function claim(
  tx: Tx,
  consumer: string,
  messageIds: readonly string[],
): Promise<Set<string>> {
  if (messageIds.length === 0) return new Set()
  const rows = await tx.run(claimMessages, [messageIds, consumer])
  return new Set(rows.map((row) => row.message_id))
}

/**
 * Whether a transaction failed because the inbox has no partition for the day of an id. Postgres reports it as a check
 * violation, which is permanent elsewhere; here the upkeep is late, and that is no message's fault.
 */
export function isPartitionMissing(error: unknown): boolean {
  if (sqlState(error) !== '23514') return false
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('table' in at && at.table === 'inbox') return true
  }
  return false
}
