import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { coordinations, createApi } from '../src/api.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { randomOf } from '../src/random.ts'
import { runScenario, scenarios } from '../src/scenarios.ts'
import {
  type Ending,
  makeProduct,
  place,
  readEnding,
  type ScenarioContext,
  untilAllEnded,
} from '../src/story.ts'
import { serviceUrls, startSystem, type System } from '../src/system.ts'

let system: System

beforeAll(async () => {
  system = await startSystem(`scenarios-${process.pid}`)
})

afterAll(async () => {
  const codes = await system.stop()
  expect(new Set(Object.values(codes)), 'exit codes').toEqual(new Set([0]))
})

function contextOf(coordination: ScenarioContext['coordination']): ScenarioContext {
  return { api: createApi(serviceUrls(system)), coordination, tell: () => undefined }
}

describe.each(coordinations)('an order, %s', (coordination) => {
  // At once: scenarios share no product and no order, so they must not notice each other.
  it.concurrent.each(scenarios)('$title', async (scenario) => {
    await expect(runScenario(scenario, contextOf(coordination))).resolves.toEqual(scenario.ending)
  })
})

describe('both styles', () => {
  it('end alike when they are given the same outcomes', async () => {
    const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))
    console.log(`SEED=${seed}`)
    const [choreographed, orchestrated] = await Promise.all(
      coordinations.map((coordination) => randomOrders(contextOf(coordination), seed)),
    )
    expect(orchestrated).toEqual(choreographed)
  })

  it('leave balanced books, and every saga as its log says', async () => {
    const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
    expect(books.balanced, formatBooks(books)).toBe(true)
  })
})

const tokens = ['tok_ok', 'tok_ok', 'tok_declined', 'tok_5xx_twice', 'tok_refused_by_name'] as const

/** Orders whose outcome the seed alone decides: each for products of its own, so that none depends on another's speed. */
async function randomOrders(context: ScenarioContext, seed: number): Promise<Ending[]> {
  const random = randomOf(seed)
  const plans = Array.from({ length: 40 }, () => ({
    token: tokens[Math.floor(random() * tokens.length)] ?? 'tok_ok',
    stock: Array.from({ length: 1 + Math.floor(random() * 3) }, () => Math.floor(random() * 4)),
    quantity: 1 + Math.floor(random() * 2),
  }))
  return await Promise.all(
    plans.map(async ({ token, stock, quantity }) => {
      // Whoever has none of a product has never heard of it; so everybody gets one more.
      const skus = await Promise.all(stock.map((onHand) => makeProduct(context, onHand + 1)))
      const lines = skus.map((sku) => ({ sku, quantity: quantity + 1 }))
      const order = await place(context, token, lines, false)
      await untilAllEnded(context, [order])
      return await readEnding(context, { orders: [order], skus })
    }),
  )
}
