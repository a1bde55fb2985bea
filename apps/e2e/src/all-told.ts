import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import type { System } from './system.ts'

const ended = z.array(z.object({ order_id: z.string(), status: z.string() }))
const told = z.array(z.object({ order_id: z.string(), kind: z.string(), status: z.string() }))
const mailsPage = z.object({
  mails: z.array(z.object({ notificationId: z.string().nullable() })),
  duplicates: z.number(),
})
const kinds: Readonly<Record<string, string>> = {
  confirmed: 'confirmation',
  cancelled: 'cancellation',
}

/**
 * Waits until the customer of every order that has ended was told how. Gives the number of e-mails that came a second time.
 * @throws Error that names an order whose customer was not told in time
 */
export async function untilAllTold(system: System, timeoutMs = 120_000): Promise<number> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const untold = await untoldOrders(system)
    if (untold.length === 0) break
    if (Date.now() > deadline) {
      throw new Error(`${untold.length} orders were told to nobody, such as ${untold[0]}`)
    }
    await sleep(200)
  }
  const url = `${system.apps['smtp-sandbox'].url}/mails?limit=1`
  return mailsPage.parse(await (await fetch(url)).json()).duplicates
}

async function untoldOrders(system: System): Promise<string[]> {
  const orders = ended.parse(
    await query(
      system.databases.orders,
      `select order_id, status from orders where status in ('confirmed', 'cancelled')`,
    ),
  )
  const sent = told.parse(
    await query(
      system.notificationsDatabase,
      `select order_id, kind, status from notifications where status = 'sent' and order_id is not null`,
    ),
  )
  const known = new Set(sent.map(({ order_id: id, kind }) => `${id} ${kind}`))
  return orders
    .filter(({ order_id: id, status }) => !known.has(`${id} ${kinds[status]}`))
    .map(({ order_id: id }) => id)
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
