import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import type { ReachableSystem } from './reachable-system.ts'

const ended = z.array(z.object({ order_id: z.string(), status: z.string() }))
const told = z.array(z.object({ id: z.string(), order_id: z.string(), kind: z.string() }))
const mailsPage = z.object({
  mails: z.array(z.object({ notificationId: z.string().nullable() })),
  duplicates: z.number(),
})
const kinds: Readonly<Record<string, string>> = {
  confirmed: 'confirmation',
  cancelled: 'cancellation',
}

/**
 * Waits until the mail provider has an e-mail about the end of every order that has ended, whatever the service says of it. Gives the
 * number of e-mails that came a second time.
 * @throws Error that names an order whose customer was not told in time
 */
export async function untilAllTold(system: ReachableSystem, timeoutMs = 120_000): Promise<number> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const { untold, duplicates } = await lookAt(system)
    if (untold.length === 0) return duplicates
    if (Date.now() > deadline) {
      throw new Error(`${untold.length} orders were told to nobody, such as ${untold[0]}`)
    }
    await sleep(500)
  }
}

async function lookAt(system: ReachableSystem): Promise<{ untold: string[]; duplicates: number }> {
  const orders = ended.parse(
    await query(
      system.databases.orders,
      `select order_id, status from orders where status in ('confirmed', 'cancelled')`,
    ),
  )
  const notifications = told.parse(
    await query(
      system.notificationsDatabase,
      'select id, order_id, kind from notifications where order_id is not null',
    ),
  )
  const url = `${system.urls['smtp-sandbox']}/mails?limit=100000`
  const { mails, duplicates } = mailsPage.parse(await (await fetch(url)).json())
  const mailed = new Set(mails.map(({ notificationId }) => notificationId))
  const known = new Set(
    notifications
      .filter(({ id }) => mailed.has(id))
      .map(({ order_id: orderId, kind }) => `${orderId} ${kind}`),
  )
  const untold = orders.filter(({ order_id: id, status }) => !known.has(`${id} ${kinds[status]}`))
  return { untold: untold.map(({ order_id: id }) => id), duplicates }
}

async function query(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
