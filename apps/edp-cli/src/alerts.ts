import { z } from 'zod'
import { command } from './command.ts'
import { withNext } from './letters.ts'
import { choice, paging } from './options.ts'
import { age, formatTable } from './table.ts'

const alertView = z.looseObject({
  alertId: z.string(),
  status: z.string(),
  severity: z.string(),
  name: z.string(),
  summary: z.string(),
  startedAt: z.string(),
})
const alertsPage = z.looseObject({
  alerts: z.array(alertView),
  nextCursor: z.string().nullish(),
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
        ['AGE', (alert) => age(alert.startedAt)],
        ['ALERT', (alert) => alert.name],
        ['SUMMARY', (alert) => alert.summary],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.alerts.length === 0 ? 'no alerts' : withNext(table, body.nextCursor ?? null),
    }
  },
})

/** Commands of alerts. */
export const alertCommands = [list]
