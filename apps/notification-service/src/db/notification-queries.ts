import { and, asc, eq, gt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import type { Kind, Status } from '../domain/notification.ts'
import { notifications } from './schema.ts'

type Row = typeof notifications.$inferSelect

/** Notifications of one kind that are to be sent, and how long the longest of them has been due. */
export interface OpenCount {
  readonly kind: Kind
  readonly count: number
  /** Negative when nothing of it is due yet. */
  readonly lagSeconds: number
}

/** What HTTP and the metrics read. */
export interface NotificationQueries {
  /** At most `limit` notifications after the id `after`, by id, which is no order in time. */
  page(filter: {
    orderId?: string | undefined
    status?: Status | undefined
    after?: string | undefined
    limit: number
  }): Promise<Row[]>
  countOpen(): Promise<OpenCount[]>
}

/** Reads over an ordinary pool, never the pipelined connections of the transactions. */
export function createNotificationQueries(pool: Pool): NotificationQueries {
  const db = drizzle(pool, { casing: 'snake_case' })
  return {
    page: ({ orderId, status, after, limit }) =>
      db
        .select()
        .from(notifications)
        .where(
          and(
            orderId === undefined ? undefined : eq(notifications.orderId, orderId),
            status === undefined ? undefined : eq(notifications.status, status),
            after === undefined ? undefined : gt(notifications.id, after),
          ),
        )
        .orderBy(asc(notifications.id))
        .limit(limit),
    countOpen: () =>
      db
        .select({
          kind: notifications.kind,
          count: sql<number>`count(*)::integer`,
          lagSeconds: sql<number>`extract(epoch from now() - min(${notifications.dueAt}))::float8`,
        })
        .from(notifications)
        .where(eq(notifications.status, 'pending'))
        .groupBy(notifications.kind),
  }
}
