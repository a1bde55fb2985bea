import { counter, createLoop, type Database, type Logger, type Loop, statement } from '@edp/runtime'
import { z } from 'zod'

export interface RetentionOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly logger: Logger
  /** How long notifications that have ended are kept after they were made. */
  readonly retentionDays: number
}

const intervalMs = 60 * 60 * 1000
const batchMax = 1000

const removed = counter('edp_notifications_removed_total', 'Notifications removed by their age', [])

// Not a cancelled one whose job may still be in Redis, and nothing that a person or a job has to end yet.
const removeEnded = statement(
  'notifications_remove_ended',
  z.object({ id: z.string() }),
  `delete from notifications where id in (
     select id from notifications
     where created_at < now() - $1::float8 * interval '1 day'
       and (status = 'sent' or (status = 'cancelled' and queued_at is null))
     order by created_at limit $2 for update skip locked
   ) returning id`,
)

/**
 * Removes notifications that were sent or cancelled and are older than `retentionDays`, some hundreds a transaction. What is still
 * to be sent, or dead, stays, however old. Any number of processes may run it.
 */
export function createRetention({ database, logger, retentionDays }: RetentionOptions): Loop {
  return createLoop({
    name: 'retention',
    intervalMs,
    logger,
    work: async () => {
      const rows = await database.transaction((tx) =>
        tx.run(removeEnded, [retentionDays, batchMax]),
      )
      removed.inc(rows.length)
      return rows.length === batchMax ? 'again' : undefined
    },
  })
}
