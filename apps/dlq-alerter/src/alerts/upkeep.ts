import { createLoop, type Database, gauge, type Health, type Logger, type Loop } from '@edp/runtime'
import type { Channels } from './channels/configured.ts'
import {
  endNotification,
  enqueueStandIn,
  lockOrphans,
  pruneHistory,
  readBacklog,
} from './notification-rows.ts'

const pendingGauge = gauge('edp_alert_notifications_pending', 'Notifications not delivered yet', [
  'channel',
])
const oldestGauge = gauge(
  'edp_alert_notification_oldest_pending_seconds',
  'Age of the oldest notification not delivered yet',
  ['channel'],
)

const dayMs = 86_400_000
const historyMs = 30 * dayMs
const intervalMs = 15_000
const pruneIntervalMs = 3_600_000
// A channel that has not taken anything for so long is shown as degraded.
const backlogAgeMaxSeconds = 300

/**
 * Keeps notifications in order: shows what waits, hands over what waits for a channel that is not set up any more, and
 * forgets what ended a month ago.
 */
export function createNotificationUpkeep(options: {
  database: Pick<Database, 'transaction'>
  channels: Channels
  logger: Logger
  health: Health
}): Loop {
  const { database, channels, logger, health } = options
  const names = channels.all.map(({ name }) => name)
  let prunedAt = -Infinity
  let late: string[] = []

  async function look(): Promise<void> {
    const backlog = await database.transaction((tx) => readBacklog(tx))
    for (const channel of names) {
      const one = backlog.find((row) => row.channel === channel)
      pendingGauge.set({ channel }, one?.pending ?? 0)
      oldestGauge.set({ channel }, one?.oldest_seconds ?? 0)
    }
    late = backlog
      .filter((row) => row.oldest_seconds > backlogAgeMaxSeconds)
      .map((row) => `${row.pending} on ${row.channel}`)
    if (backlog.some((row) => !names.some((name) => name === row.channel))) await handOver()
  }

  async function handOver(): Promise<void> {
    const count = await database.transaction(async (tx) => {
      const orphans = await lockOrphans(tx, names)
      for (const { notificationId, alertId, channel, message } of orphans) {
        const error = `${channel} is not set up any more`
        void endNotification(tx, { notificationId, status: 'failed', error })
        if (alertId === null) continue
        await enqueueStandIn(tx, {
          notificationId,
          alertId,
          channel: 'log',
          message: { ...message, undelivered: error },
        })
      }
      return orphans.length
    })
    if (count > 0) logger.warn({ notifications: count }, 'handed over from channels that are gone')
  }

  const loop = createLoop({
    name: 'alert-notifications',
    intervalMs,
    logger,
    work: async () => {
      await look()
      if (performance.now() - prunedAt < pruneIntervalMs) return
      await database.transaction(async (tx) => pruneHistory(tx, historyMs))
      prunedAt = performance.now()
    },
  })
  health.register(loop.name, () =>
    late.length === 0
      ? loop.report()
      : { status: 'degraded', detail: `not delivered for minutes: ${late.join(', ')}` },
  )
  return loop
}
