import { accountOf, orderIds } from '../src/account.ts'
import { createApi } from '../src/api.ts'
import { formatBooks } from '../src/books.ts'
import { type Load, startLoad } from '../src/load.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import type { ContainerSystem } from './container-system.ts'

/** What is ordered meanwhile, and how fast. */
export interface LoadSettings {
  seed: number
  ordersPerSecond: number
}

/** What became of the orders of a load. */
export interface LoadOutcome {
  orders: number
  lost: number
  doubled: number
  /** What clients got instead of an answer, before they sent the same again. */
  failures: readonly string[]
}

const settleMs = 240_000

/**
 * Places orders of both styles while something happens, then waits until all have ended and the books balance.
 * @throws Error with the books when they do not
 */
export async function underLoad(
  system: ContainerSystem,
  settings: LoadSettings,
  happens: (load: Load) => Promise<void>,
): Promise<LoadOutcome> {
  const before = await orderIds(system.databases)
  const load = await startLoad({ api: createApi(serviceUrls(system)), ...settings })
  let accepted: string[]
  try {
    await load.more(10)
    await happens(load)
  } finally {
    accepted = await load.stop()
  }
  const books = await system.settle(settleMs)
  if (!books.balanced) throw new Error(`the books do not balance:\n${formatBooks(books)}`)
  const { lost, doubled } = await accountOf(system.databases, accepted, before)
  return {
    orders: accepted.length,
    lost: lost.length,
    doubled: doubled.length,
    failures: load.failures(),
  }
}

/** @throws Error when an accepted order is gone, or one was made twice */
export function expectNothingLost({ orders, lost, doubled }: LoadOutcome): void {
  if (lost + doubled > 0) throw new Error(`of ${orders} orders ${lost} lost, ${doubled} doubled`)
}
