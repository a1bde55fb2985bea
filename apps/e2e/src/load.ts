import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import { type Api, type Order, UnexpectedAnswer } from './api.ts'
import { type DatabaseUrls, formatBooks, settleBooks } from './books.ts'
import { randomOf } from './random.ts'
import type { System } from './system.ts'

/** Places orders of all kinds, as customers whose clients do not give up. */
export interface Load {
  /** Ends it. @returns every order that was accepted, once each */
  stop(): Promise<string[]>
  /** How many orders were accepted so far. */
  accepted(): number
  /**
   * Waits until so many more were accepted than now.
   * @throws Error when a minute was not enough
   */
  more(count: number): Promise<void>
}

export interface LoadOptions {
  api: Api
  seed: number
  ordersPerSecond: number
}

const tokens = ['tok_ok', 'tok_ok', 'tok_ok', 'tok_ok', 'tok_declined', 'tok_5xx_twice'] as const

/**
 * Starts placing orders at a steady rate until stopped. One in ten is cancelled by its customer, some are declined and some
 * meet an empty shelf. A request that fails is sent again with the same Idempotency-Key until it is answered.
 */
export async function startLoad({ api, seed, ordersPerSecond }: LoadOptions): Promise<Load> {
  const random = randomOf(seed)
  const skus = await makeProducts(api)
  const accepted: string[] = []
  const inFlight = new Set<Promise<void>>()
  let stopped = false

  const placeOne = async (): Promise<void> => {
    const sku = skus[Math.floor(random() * skus.length)] ?? ''
    const other = skus[Math.floor(random() * skus.length)] ?? ''
    const lines = [...new Set([sku, other])].map((one) => ({ sku: one, quantity: 1 }))
    const paymentToken = tokens[Math.floor(random() * tokens.length)] ?? 'tok_ok'
    const cancel = random() < 0.1
    const key = randomUUID()
    const body = { customerId: 'load', currency: 'EUR', lines, paymentToken }
    const order: Order = await untilAnswered(() => api.placeOrder(body, key))
    accepted.push(order.orderId)
    if (cancel) await untilAnswered(() => cancelIfOpen(api, order.orderId))
  }

  const run = async (): Promise<void> => {
    const intervalMs = 1000 / ordersPerSecond
    for (let due = Date.now(); !stopped; due += intervalMs) {
      await sleep(Math.max(0, due - Date.now()))
      const order = placeOne().finally(() => inFlight.delete(order))
      inFlight.add(order)
    }
  }
  const running = run()
  return {
    accepted: () => accepted.length,
    more: async (count) => {
      const target = accepted.length + count
      const deadline = Date.now() + 60_000
      while (accepted.length < target) {
        if (Date.now() > deadline) throw new Error(`${accepted.length} of ${target} accepted`)
        await sleep(20)
      }
    },
    stop: async () => {
      stopped = true
      await running
      await Promise.all(inFlight)
      return accepted
    },
  }
}

/**
 * Waits until every accepted order has ended and the books balance.
 * @throws Error with the books when that does not happen in time, or an accepted order is missing or there twice
 */
export async function expectAllEnded(
  system: Pick<System, 'databases' | 'gatewayUrl'>,
  accepted: readonly string[],
  timeoutMs = 60_000,
): Promise<void> {
  const books = await settleBooks(system.databases, system.gatewayUrl, timeoutMs)
  if (!books.balanced) throw new Error(`the books do not balance:\n${formatBooks(books)}`)
  const known = await orderIds(system.databases)
  const missing = accepted.filter((orderId) => !known.has(orderId))
  if (missing.length > 0) throw new Error(`accepted orders were lost: ${missing.join(', ')}`)
  if (known.size !== new Set(accepted).size) {
    throw new Error(`${accepted.length} orders were accepted, ${known.size} exist`)
  }
}

async function orderIds(databases: DatabaseUrls): Promise<Set<string>> {
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

// Plenty of most products, few of one and none of another.
async function makeProducts(api: Api): Promise<string[]> {
  const stock = [100_000, 100_000, 100_000, 100_000, 100_000, 100_000, 25, 0]
  return await Promise.all(
    stock.map(async (quantity) => {
      const sku = `load-${randomBytes(4).toString('hex')}`
      await api.putProduct(sku, 250)
      if (quantity > 0) await api.receiveStock(sku, quantity)
      return sku
    }),
  )
}

async function cancelIfOpen(api: Api, orderId: string): Promise<void> {
  try {
    await api.cancelOrder(orderId)
  } catch (error) {
    // Confirmed in the meantime: the answer that a customer expects then.
    if (!(error instanceof UnexpectedAnswer && error.status === 409)) throw error
  }
}

/** Sends a request until it is answered with anything but a server error, for two minutes at most. */
async function untilAnswered<Answer>(send: () => Promise<Answer>): Promise<Answer> {
  const deadline = Date.now() + 120_000
  for (;;) {
    try {
      return await send()
    } catch (error) {
      const refused =
        error instanceof UnexpectedAnswer && error.status < 500 && error.status !== 409
      if (refused || Date.now() > deadline) throw error
      await sleep(100)
    }
  }
}
