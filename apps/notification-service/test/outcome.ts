import { waitFor } from '@edp/testkit'
import { newOrderId, type Row, type World } from './world.ts'

/** Ids of new orders. */
export const orders = (count: number): string[] => Array.from({ length: count }, newOrderId)

/** Waits until the confirmation of each order is sent. */
export async function untilAllSent(
  world: World,
  orderIds: readonly string[],
  timeoutMs = 30_000,
): Promise<void> {
  await waitFor(() => confirmationsOf(world, orderIds), {
    message: 'every confirmation is sent',
    timeoutMs,
    intervalMs: 100,
    until: (rows) => areSent(rows, orderIds),
  })
}

/** Whether the confirmation of each order is sent. */
export async function areAllSent(world: World, orderIds: readonly string[]): Promise<boolean> {
  return areSent(await confirmationsOf(world, orderIds), orderIds)
}

function confirmationsOf(world: World, orderIds: readonly string[]): Promise<Row[]> {
  return world.db.query(
    `select status, attempts, error_code from notifications
     where order_id = any($1) and kind = 'confirmation'`,
    [orderIds],
  )
}

function areSent(rows: readonly Row[], orderIds: readonly string[]): boolean {
  return rows.length === orderIds.length && rows.every(({ status }) => status === 'sent')
}

/** How many e-mails each order has got, without those that got one. */
export async function notOnce(
  world: World,
  orderIds: readonly string[],
): Promise<[string, number][]> {
  const rows = await world.db.query(
    `select id, order_id from notifications where order_id = any($1) and kind = 'confirmation'`,
    [orderIds],
  )
  const counts = new Map<string, number>()
  for (const { notificationId } of await world.mails()) {
    counts.set(notificationId, (counts.get(notificationId) ?? 0) + 1)
  }
  return rows
    .map((row): [string, number] => [String(row['order_id']), counts.get(String(row['id'])) ?? 0])
    .filter(([, count]) => count !== 1)
}

/** Attempts that were used, and dead letters. */
export async function harm(world: World, orderIds: readonly string[]): Promise<unknown> {
  const [row] = await world.db.query(
    `select sum(attempts)::integer as attempts, count(*) filter (where is_dead_lettered)::integer as dead
     from notifications where order_id = any($1)`,
    [orderIds],
  )
  return row
}
export const unharmed = { attempts: 0, dead: 0 }
