import { and, asc, eq, gt, isNotNull, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import type { PaymentStatus } from '../domain/payment.ts'
import { payments } from './schema.ts'

type Row = typeof payments.$inferSelect

/** Open payments of one status, and how long the longest of them has been due. */
export interface OpenCount {
  readonly status: PaymentStatus
  readonly count: number
  /** Negative when nothing of it is due yet. */
  readonly lagSeconds: number
}

/** What HTTP and the metrics read. */
export interface PaymentQueries {
  /** At most `limit` payments after the order `after`, in the order in which the orders were made. */
  page(filter: {
    orderId?: string | undefined
    status?: PaymentStatus | undefined
    after?: string | undefined
    limit: number
  }): Promise<Row[]>
  countOpen(): Promise<OpenCount[]>
}

/** Reads over an ordinary pool, never the pipelined connections of the transactions. */
export function createPaymentQueries(pool: Pool): PaymentQueries {
  const db = drizzle(pool, { casing: 'snake_case' })
  return {
    page: ({ orderId, status, after, limit }) =>
      db
        .select()
        .from(payments)
        .where(
          and(
            orderId === undefined ? undefined : eq(payments.orderId, orderId),
            status === undefined ? undefined : eq(payments.status, status),
            after === undefined ? undefined : gt(payments.orderId, after),
          ),
        )
        .orderBy(asc(payments.orderId))
        .limit(limit),
    countOpen: () =>
      db
        .select({
          status: payments.status,
          count: sql<number>`count(*)::integer`,
          lagSeconds: sql<number>`extract(epoch from now() - min(${payments.dueAt}))::float8`,
        })
        .from(payments)
        .where(isNotNull(payments.dueAt))
        .groupBy(payments.status),
  }
}
