import {
  type Component,
  createLoop,
  type Database,
  type Health,
  type HealthReport,
  type Logger,
  statement,
} from '@edp/runtime'
import { z } from 'zod'

const anHourMs = 60 * 60 * 1000
const aDayMs = 24 * anHourMs

// A `security definer` function of the owner role: the service itself may not alter tables.
const maintainInbox = statement(
  'inbox_maintain',
  z.object({ inbox_maintain: z.unknown() }),
  'select inbox_maintain($1)::text',
)

const newestPartition = statement(
  'inbox_newest_partition',
  z.object({ day: z.string().nullable() }),
  `select max(right(c.relname, 8)) as day
   from pg_inherits i join pg_class c on c.oid = i.inhrelid
   where i.inhparent = 'inbox'::regclass`,
)

/** What `createInboxUpkeep` needs. */
export interface InboxUpkeepOptions {
  database: Pick<Database, 'transaction'>
  logger: Logger
  health: Health
  /** How many days a message is recognised as a duplicate: the topics' retention and the oldest outbox row allowed. */
  retentionDays: number
  /** Default one hour. */
  intervalMs?: number
  now?: () => Date
}

/**
 * Makes the inbox partitions of the next days and drops those that are older than the retention, at the start and every
 * hour. A service without tomorrow's partition is unhealthy: at midnight it could handle nothing more.
 */
export function createInboxUpkeep(options: InboxUpkeepOptions): Component {
  const { database, logger, health, retentionDays, intervalMs = anHourMs } = options
  const now = options.now ?? (() => new Date())
  let newest: string | undefined

  const work = async (): Promise<void> => {
    // Two transactions: the first holds locks on the inbox, and the second sees what it made.
    await database.transaction((tx) => tx.run(maintainInbox, [retentionDays]))
    const [row] = await database.transaction((tx) => tx.run(newestPartition))
    newest = row?.day ?? undefined
  }
  const loop = createLoop({ name: 'inbox-upkeep', intervalMs, work, logger })

  health.register('inbox-upkeep', () => {
    const loopReport = loop.report()
    const tomorrow = dayName(new Date(now().getTime() + aDayMs))
    if (newest === undefined) return waiting(loopReport)
    if (newest >= tomorrow) return loopReport
    return { status: 'unhealthy', detail: `the inbox has no partition for ${tomorrow}` }
  })
  return loop
}

function waiting(report: HealthReport): HealthReport {
  return report.status === 'ok' ? { status: 'degraded', detail: 'not checked yet' } : report
}

/** A day as its partition's name ends: `20260131`, in UTC. */
function dayName(date: Date): string {
  return date.toISOString().slice(0, 10).replaceAll('-', '')
}
