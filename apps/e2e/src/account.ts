import pg from 'pg'
import { z } from 'zod'
import { type DatabaseUrls, formatBooks, settleBooks } from './books.ts'
import type { Replay } from './refinement.ts'
import type { ReachableSystem } from './reachable-system.ts'

/** What became of the orders that a load placed. */
export interface Account {
  /** Accepted, and not there. */
  lost: string[]
  /** There, and the answer to no request: a second order of one that was sent again. */
  doubled: string[]
}

/**
 * Compares what was accepted with what is there.
 * @param before the orders that were there before the load
 */
export async function accountOf(
  databases: DatabaseUrls,
  accepted: readonly string[],
  before: ReadonlySet<string> = new Set(),
): Promise<Account> {
  const known = await orderIds(databases)
  const answered = new Set(accepted)
  return {
    lost: accepted.filter((orderId) => !known.has(orderId)),
    doubled: [...known].filter((orderId) => !answered.has(orderId) && !before.has(orderId)),
  }
}

/**
 * Waits until every accepted order has ended and the books balance.
 * @throws Error with the books when that does not happen in time, or an accepted order is missing or there twice
 */
export async function expectAllEnded(
  system: Pick<ReachableSystem, 'databases' | 'gatewayUrl'>,
  accepted: readonly string[],
  {
    timeoutMs = 60_000,
    before,
    replay,
  }: { timeoutMs?: number; before?: ReadonlySet<string>; replay?: () => Promise<Replay> } = {},
): Promise<void> {
  const books = await settleBooks(system.databases, system.gatewayUrl, timeoutMs, replay)
  if (!books.balanced) throw new Error(`the books do not balance:\n${formatBooks(books)}`)
  const { lost, doubled } = await accountOf(system.databases, accepted, before)
  if (lost.length > 0) throw new Error(`accepted orders were lost: ${lost.join(', ')}`)
  if (doubled.length > 0) {
    throw new Error(`orders exist that answered no request: ${doubled.join(', ')}`)
  }
}

/** The orders that are there. */
export async function orderIds(databases: DatabaseUrls): Promise<Set<string>> {
  const client = new pg.Client({ connectionString: databases.orders })
  await client.connect()
  try {
    const { rows } = await client.query('select order_id from orders')
    return new Set(
      z
        .array(z.object({ order_id: z.string() }))
        .parse(rows)
        .map((row) => row.order_id),
    )
  } finally {
    await client.end()
  }
}
