import { and, desc, eq, lt, ne } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import { alerts, notifications } from './tables.ts'

export type AlertRow = typeof alerts.$inferSelect
export type NotificationRow = typeof notifications.$inferSelect

interface Page<Status> {
  readonly status: Status | undefined
  /** Older than this one. */
  readonly before: number | undefined
  readonly limit: number
}

/** What HTTP reads, newest first. */
export interface AlertQueries {
  alerts(page: Page<'firing' | 'resolved'>): Promise<AlertRow[]>
  notifications(page: Page<NotificationRow['status']>): Promise<NotificationRow[]>
}

/** Reads over an ordinary pool, never the pipelined connections of the transactions. */
export function createAlertQueries(pool: Pool): AlertQueries {
  const db = drizzle(pool, { casing: 'snake_case' })
  return {
    alerts: ({ status, before, limit }) =>
      db
        .select()
        .from(alerts)
        .where(
          and(
            // Nobody has been told of what is pending.
            status === undefined ? ne(alerts.status, 'pending') : eq(alerts.status, status),
            before === undefined ? undefined : lt(alerts.alertId, before),
          ),
        )
        .orderBy(desc(alerts.alertId))
        .limit(limit),
    notifications: ({ status, before, limit }) =>
      db
        .select()
        .from(notifications)
        .where(
          and(
            status === undefined ? undefined : eq(notifications.status, status),
            before === undefined ? undefined : lt(notifications.notificationId, before),
          ),
        )
        .orderBy(desc(notifications.notificationId))
        .limit(limit),
  }
}
