import { createLoop, type Database, gauge, type Logger, type Loop, statement } from '@edp/runtime'
import { z } from 'zod'

// Reads the whole table, which is small while all is well, and only now and then.
const countParked = statement(
  'parked_count',
  z.object({
    consumer: z.string(),
    status: z.string(),
    messages: z.number(),
    oldest_seconds: z.number(),
  }),
  `select consumer, status, count(*)::integer as messages,
     greatest(0, extract(epoch from now() - min(parked_at)))::float8 as oldest_seconds
   from parked_message group by consumer, status`,
)

const parked = gauge('edp_parked_messages', 'Messages that their consumer could not apply', [
  'consumer',
  'status',
])
const oldest = gauge('edp_parked_oldest_seconds', 'How long the oldest of them has been parked', [
  'consumer',
  'status',
])

const statuses = ['retrying', 'waiting', 'dead']

/** Measures the parked messages of the consumers of a service; every process of it says the same. */
export function createParkedMetrics(options: {
  consumers: readonly string[]
  database: Pick<Database, 'transaction'>
  logger: Logger
  intervalMs?: number
}): Loop {
  const { consumers, database, logger, intervalMs = 5000 } = options
  return createLoop({
    name: 'parked metrics',
    intervalMs,
    logger,
    work: async () => {
      const rows = await database.transaction((tx) => tx.run(countParked))
      for (const consumer of consumers) {
        for (const status of statuses) {
          const row = rows.find((one) => one.consumer === consumer && one.status === status)
          parked.set({ consumer, status }, row?.messages ?? 0)
          oldest.set({ consumer, status }, row?.oldest_seconds ?? 0)
        }
      }
    },
  })
}
