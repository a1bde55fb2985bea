import { problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { severity } from './alert.ts'
import type { AlertQueries, AlertRow, NotificationRow } from './alert-queries.ts'
import { channelNames } from './channels/channel.ts'

const instant = z.iso.datetime()
const notificationStatus = z.enum(['pending', 'sent', 'failed'])

const page = {
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'expected the nextCursor of a page')
    .optional()
    .describe('nextCursor of the page before'),
  limit: queryNumber(1, 100).default(20),
}
const alertsQuery = z.strictObject({ status: z.enum(['firing', 'resolved']).optional(), ...page })
const notificationsQuery = z.strictObject({ status: notificationStatus.optional(), ...page })

const alertView = z.strictObject({
  alertId: z.int(),
  dedupKey: z.string().describe('what receivers know it by'),
  rule: z.string(),
  source: z.string(),
  severity,
  status: z.enum(['firing', 'resolved']),
  summary: z.string(),
  labels: z.record(z.string(), z.string()),
  path: z.string().describe('where it is shown'),
  runbook: z.string(),
  startsAt: instant,
  endsAt: instant.nullable(),
})
const notificationView = z.strictObject({
  notificationId: z.int(),
  alertId: z.int().nullable().describe('null for a heartbeat'),
  dedupKey: z.string(),
  channel: z.enum(channelNames),
  kind: z.enum(['firing', 'resolved', 'heartbeat']),
  status: notificationStatus,
  summary: z.string(),
  attempts: z.int(),
  nextAttemptAt: instant.nullable(),
  lastError: z.string().nullable(),
  fallbackOf: z.int().nullable().describe('the notification that this one stands in for'),
  createdAt: instant,
  endedAt: instant.nullable(),
})

const nextCursor = z.string().nullable()
const alertsPage = z.strictObject({ alerts: z.array(alertView), nextCursor })
const notificationsPage = z.strictObject({ notifications: z.array(notificationView), nextCursor })

/** The routes of alerting. */
export const alertRoutes: FastifyPluginCallbackZod<{
  queries: AlertQueries
  namespace: string
}> = (app, { queries, namespace }, done) => {
  app.get(
    '/alerts',
    {
      schema: {
        summary: 'Alerts that fire or did, newest first',
        querystring: alertsQuery,
        response: { 200: alertsPage, 400: problemSchema },
      },
    },
    async (request) => {
      const { status, cursor, limit } = request.query
      const rows = await queries.alerts({ status, limit: limit + 1, before: idOf(cursor) })
      const shown = rows.slice(0, limit)
      return {
        alerts: shown.map((row) => alertViewOf(row, namespace)),
        nextCursor: rows.length > limit ? cursorOf(shown.at(-1)?.alertId) : null,
      }
    },
  )

  app.get(
    '/notifications',
    {
      schema: {
        summary: 'What was told, is to be told, or could not be, newest first',
        querystring: notificationsQuery,
        response: { 200: notificationsPage, 400: problemSchema },
      },
    },
    async (request) => {
      const { status, cursor, limit } = request.query
      const rows = await queries.notifications({ status, limit: limit + 1, before: idOf(cursor) })
      const shown = rows.slice(0, limit)
      return {
        notifications: shown.map(notificationViewOf),
        nextCursor: rows.length > limit ? cursorOf(shown.at(-1)?.notificationId) : null,
      }
    },
  )

  done()
}

const idOf = (cursor: string | undefined): number | undefined =>
  cursor === undefined ? undefined : Number(cursor)
const cursorOf = (id: number | undefined): string | null => (id === undefined ? null : String(id))

function alertViewOf(row: AlertRow, namespace: string): z.input<typeof alertView> {
  const { status, dedupKey, level: _level, quietSince: _quiet, startsAt, endsAt, ...rest } = row
  return {
    ...rest,
    dedupKey: `${namespace}/${dedupKey}`,
    status: status === 'resolved' ? 'resolved' : 'firing',
    startsAt: startsAt.toISOString(),
    endsAt: endsAt?.toISOString() ?? null,
  }
}

function notificationViewOf(row: NotificationRow): z.input<typeof notificationView> {
  const { message, nextAttemptAt, createdAt, endedAt, ...rest } = row
  return {
    ...rest,
    summary: message.summary,
    nextAttemptAt: rest.status === 'pending' ? nextAttemptAt.toISOString() : null,
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  }
}
