import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, type Coordination, coordinations, type NewOrder, type Order } from './api.ts'
import { UnexpectedAnswer } from './http-client.ts'
import { randomOf } from './random.ts'

/** Places orders of all kinds, in both styles, as customers whose clients do not give up. */
export interface Load {
  /** Ends it. @returns every order that was accepted, once each */
  stop(): Promise<string[]>
  /** Waits until all `ordersMax` were accepted, and ends it. @returns them */
  finish(): Promise<string[]>
  /** How many orders were accepted so far. */
  accepted(): number
  /** What came instead of an answer so far: each was sent again. */
  failures(): readonly string[]
  /**
   * Waits until so many more were accepted than now.
   * @throws Error when a minute was not enough
   */
  more(count: number): Promise<void>
  /**
   * Waits until so many were accepted in all.
   * @throws Error when five minutes were not enough
   */
  reach(count: number): Promise<void>
}

export interface LoadOptions {
  api: Api
  seed: number
  ordersPerSecond: number
  /** It ends by itself after so many. */
  ordersMax?: number
}

interface Plan {
  lines: NewOrder['lines']
  paymentToken: string
  cancel: boolean
}

/**
 * Starts placing orders at a steady rate, each second one orchestrated. Half of them are to be refused or given up: a shelf is
 * empty, the card is declined, or the customer cancels, many while a slow charge is running. A request that fails is sent again
 * with the same Idempotency-Key until it is answered.
 */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { api, seed, ordersPerSecond, ordersMax = Number.POSITIVE_INFINITY } = options
  const random = randomOf(seed)
  const products = await makeProducts(api)
  const accepted: string[] = []
  const failures: string[] = []
  const failed = (error: unknown): void => {
    failures.push(error instanceof Error ? error.message : String(error))
  }
  const inFlight = new Set<Promise<void>>()
  let placed = 0
  let stopped = false

  const placeOne = async (index: number): Promise<void> => {
    const { cancel, ...plan } = planOrder(products, random)
    const coordination: Coordination = coordinations[index % 2] ?? 'choreographed'
    const body = { customerId: 'load', currency: 'EUR', coordination, ...plan }
    const key = randomUUID()
    const order: Order = await untilAnswered(() => api.placeOrder(body, key), failed)
    accepted.push(order.orderId)
    if (cancel) await untilAnswered(() => cancelIfOpen(api, order.orderId), failed)
  }

  const run = async (): Promise<void> => {
    const intervalMs = 1000 / ordersPerSecond
    for (let due = Date.now(); !stopped && placed < ordersMax; due += intervalMs) {
      await sleep(Math.max(0, due - Date.now()))
      const order = placeOne(placed++).finally(() => inFlight.delete(order))
      inFlight.add(order)
    }
  }
  const running = run()
  const ended = async (): Promise<string[]> => {
    await running
    await Promise.all(inFlight)
    return accepted
  }
  const reach = async (count: number, timeoutMs: number): Promise<void> => {
    const deadline = Date.now() + timeoutMs
    while (accepted.length < count) {
      if (Date.now() > deadline) throw new Error(`${accepted.length} of ${count} accepted`)
      await sleep(20)
    }
  }
  return {
    accepted: () => accepted.length,
    failures: () => failures,
    more: (count) => reach(accepted.length + count, 60_000),
    reach: (count) => reach(count, 300_000),
    finish: ended,
    stop: () => {
      stopped = true
      return ended()
    },
  }
}

interface Products {
  plenty: readonly string[]
  /** So few that orders compete for them. */
  scarce: string
  none: string
}

async function makeProducts(api: Api): Promise<Products> {
  const make = async (quantity: number): Promise<string> => {
    const sku = `load-${randomBytes(4).toString('hex')}`
    await api.putProduct(sku, 250)
    if (quantity > 0) await api.receiveStock(sku, quantity)
    return sku
  }
  const plenty = await Promise.all(Array.from({ length: 6 }, () => make(100_000)))
  return { plenty, scarce: await make(25), none: await make(0) }
}

function planOrder({ plenty, scarce, none }: Products, random: () => number): Plan {
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item =>
    items[Math.floor(random() * items.length)] ?? items[0]
  // In the order in which they were drawn: two orders may name the same products the other way round.
  const one = plenty[Math.floor(random() * plenty.length)] ?? ''
  const other = random() < 0.1 ? scarce : (plenty[Math.floor(random() * plenty.length)] ?? '')
  const linesOf = (...skus: string[]): NewOrder['lines'] =>
    [...new Set(skus)].map((sku) => ({ sku, quantity: 1 }))
  const lines = linesOf(one, other)
  if (random() < 0.5) {
    const token = pick(['tok_ok', 'tok_ok', 'tok_ok', 'tok_ok', 'tok_5xx_twice'])
    const paymentToken = random() < 0.02 ? 'tok_timeout_after_charge' : token
    return { lines, paymentToken, cancel: false }
  }
  const givenUp = pick(['tok_slow', 'tok_slow', 'tok_ok'])
  return pick<Plan>([
    { lines: linesOf(one, none), paymentToken: 'tok_ok', cancel: false },
    { lines, paymentToken: 'tok_declined', cancel: false },
    { lines, paymentToken: givenUp, cancel: true },
  ])
}

/** Cancels an order. @returns whether it was open; one that was confirmed in the meantime is refused, as its customer expects */
export async function cancelIfOpen(api: Api, orderId: string): Promise<boolean> {
  try {
    await api.cancelOrder(orderId)
    return true
  } catch (error) {
    if (error instanceof UnexpectedAnswer && error.status === 409) return false
    throw error
  }
}

/** Sends a request until it is answered with anything but a server error, for two minutes at most. */
async function untilAnswered<Answer>(
  send: () => Promise<Answer>,
  failed: (error: unknown) => void,
): Promise<Answer> {
  const deadline = Date.now() + 120_000
  for (;;) {
    try {
      return await send()
    } catch (error) {
      const refused =
        error instanceof UnexpectedAnswer && error.status < 500 && error.status !== 409
      if (refused || Date.now() > deadline) throw error
      failed(error)
      await sleep(100)
    }
  }
}
