import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { z } from 'zod'
import { type Api, createApi, type Order } from '../src/api.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { makeProduct, type ScenarioContext, untilAllEnded } from '../src/story.ts'
import { sceneOf, serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

const waitingOrders = 1500
const placedAtOnce = 50

let system: System
let api: Api
let database: pg.Pool

beforeAll(async () => {
  system = await startSystem(`priority-${process.pid}`)
  api = createApi(serviceUrls(system))
  database = new pg.Pool({ connectionString: system.databases.orders, max: 1 })
})

afterAll(async () => {
  await database.end()
  await system.stop()
})

it('express orders end while standard ones that came before them wait, and these go on meanwhile', async () => {
  const context: ScenarioContext = {
    ...sceneOf(system),
    api,
    coordination: 'orchestrated',
    tell: () => undefined,
  }
  const sku = await makeProduct(context, 100_000)
  const place = (priority: 'standard' | 'express'): Promise<Order> =>
    api.placeOrder({
      customerId: 'ada',
      currency: 'EUR',
      lines: [{ sku, quantity: 1 }],
      paymentToken: 'tok_ok',
      coordination: 'orchestrated',
      priority,
    })
  // Whoever reserves is away: a command of each order waits.
  await system.apps['inventory-service'].stop()
  await placeMany(() => place('standard'))
  system.apps['inventory-service'].start()
  await system.apps['inventory-service'].ready()

  // One after the other, until the standard ones have ended. Without classes the first one would end after all of them.
  const endedAtEachEnd: number[] = []
  for (let ended = 0; ended < waitingOrders; ) {
    await untilAllEnded(context, [await place('express')])
    ended = await countStandard()
    endedAtEachEnd.push(ended)
  }
  expect(endedAtEachEnd[0]).toBeLessThan(waitingOrders / 2)
  // None of them waited for an express one: they ended while there was always one.
  expect(endedAtEachEnd.at(-1)).toBe(waitingOrders)
  const books = await settleBooks(system.databases, system.gatewayUrl, 60_000)
  expect(books.balanced, formatBooks(books)).toBe(true)
  expect(books.orders).toEqual({ confirmed: waitingOrders + endedAtEachEnd.length })
})

async function placeMany(place: () => Promise<Order>): Promise<void> {
  let left = waitingOrders
  const customer = async (): Promise<void> => {
    while (left-- > 0) await place()
  }
  await Promise.all(Array.from({ length: placedAtOnce }, customer))
}

/** How many standard orders have ended. */
async function countStandard(): Promise<number> {
  const { rows } = await database.query(
    `select count(*)::int as ended from orders
     where priority = 'standard' and status in ('confirmed', 'cancelled')`,
  )
  return z.object({ ended: z.int() }).parse(rows[0]).ended
}
