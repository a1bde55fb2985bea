import { z } from 'zod'
import { command } from './command.ts'
import { withNext } from './letters.ts'
import { choice, paging } from './options.ts'
import { age, formatTable } from './table.ts'

const alertView = z.looseObject({
  status: z.string(),
  severity: z.string(),
  rule: z.string(),
  summary: z.string(),
  runbook: z.string(),
  startsAt: z.string(),
})
const alertsPage = z.looseObject({
  alerts: z.array(alertView),
  nextCursor: z.string().nullable(),
})

const list = command({
  name: 'alerts list',
  summary: 'alerts, the newest first',
  options: { status: choice(['firing', 'resolved'], 'only those'), ...paging },
  run: async ({ client, terminal }, _, query) => {
    const { body, document } = await client('dlq-alerter').request(alertsPage, 'GET', '/alerts', {
      query,
    })
    const table = formatTable(
      body.alerts,
      [
        ['STATUS', (alert) => alert.status],
        ['SEVERITY', (alert) => alert.severity],
        ['AGE', (alert) => age(alert.startsAt)],
        ['RULE', (alert) => alert.rule],
        ['RUNBOOK', (alert) => alert.runbook],
        ['SUMMARY', (alert) => alert.summary],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.alerts.length === 0 ? 'no alerts' : withNext(table, body.nextCursor),
    }
  },
})

const notificationsPage = z.looseObject({
  notifications: z.array(
    z.looseObject({
      status: z.string(),
      channel: z.string(),
      kind: z.string(),
      summary: z.string(),
      attempts: z.int(),
      lastError: z.string().nullable(),
      createdAt: z.string(),
    }),
  ),
  nextCursor: z.string().nullable(),
})

const notifications = command({
  name: 'alerts notifications',
  summary: 'what was told of alerts, is to be told, or could not be, the newest first',
  options: { status: choice(['pending', 'sent', 'failed'], 'only those'), ...paging },
  run: async ({ client, terminal }, _, query) => {
    const { body, document } = await client('dlq-alerter').request(
      notificationsPage,
      'GET',
      '/notifications',
      { query },
    )
    const table = formatTable(
      body.notifications,
      [
        ['STATUS', (one) => one.status],
        ['AGE', (one) => age(one.createdAt)],
        ['CHANNEL', (one) => one.channel],
        ['KIND', (one) => one.kind],
        ['ATTEMPTS', (one) => one.attempts],
        ['SUMMARY', (one) => one.summary],
        ['ERROR', (one) => one.lastError],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.notifications.length === 0 ? 'none' : withNext(table, body.nextCursor),
    }
  },
})

/** Commands of alerts. */
export const alertCommands = [list, notifications]
