import { orderId } from '@edp/event-schemas'
import { problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { NotificationQueries } from './db/notification-queries.ts'
import { kinds, statuses } from './domain/notification.ts'

const pageQuery = z.strictObject({
  orderId: orderId.optional(),
  status: z.enum(statuses).optional().describe('dead: what a person should look at'),
  cursor: z.uuid().optional().describe('nextCursor of the page before'),
  limit: queryNumber(1, 1000).default(100),
})
const notificationView = z.strictObject({
  id: z.string().describe("also the job's id, and X-Notification-Id of the e-mail"),
  kind: z.enum(kinds),
  orderId: z.string().nullable(),
  recipient: z.string(),
  status: z.enum(statuses),
  dueAt: z.string(),
  sentAt: z.string().nullable(),
  attempts: z.int().describe('that failed'),
  error: z.string().nullable().describe('of the last one that failed'),
})
const notificationPage = z.strictObject({
  notifications: z.array(notificationView),
  nextCursor: z.string().nullable(),
})

/** Every route of the service. Notifications come with messages; what failed for good is redriven by dlq-alerter. */
export const routes: FastifyPluginCallbackZod<{ queries: NotificationQueries }> = (
  app,
  { queries },
  done,
) => {
  app.get(
    '/notifications',
    {
      schema: {
        summary: 'Notifications, of one order or in one status, by id',
        querystring: pageQuery,
        response: { 200: notificationPage, 400: problemSchema },
      },
    },
    async ({ query }) => {
      const { cursor, ...filter } = query
      const rows = await queries.page({ ...filter, after: cursor })
      const last = rows.length === query.limit ? rows.at(-1) : undefined
      return { notifications: rows.map(viewOf), nextCursor: last?.id ?? null }
    },
  )
  done()
}

type Row = Awaited<ReturnType<NotificationQueries['page']>>[number]

function viewOf(row: Row): z.infer<typeof notificationView> {
  const { id, kind, orderId: order, recipient, status, attempts } = row
  return {
    id,
    kind,
    orderId: order,
    recipient,
    status,
    dueAt: row.dueAt.toISOString(),
    sentAt: row.sentAt?.toISOString() ?? null,
    attempts,
    error: row.errorCode === null ? null : `${row.errorCode}: ${row.errorMessage}`,
  }
}
