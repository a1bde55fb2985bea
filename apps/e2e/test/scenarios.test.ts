import { randomInt } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { coordinations } from '../src/api.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { randomOrders } from '../src/random-orders.ts'
import { runScenario, scenarios } from '../src/scenarios.ts'
import { makeProduct, place, type ScenarioContext } from '../src/story.ts'
import { sceneOf } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

let system: System

beforeAll(async () => {
  system = await startSystem(`scenarios-${process.pid}`)
})

afterAll(async () => {
  const codes = await system.stop()
  expect(new Set(Object.values(codes)), 'exit codes').toEqual(new Set([0]))
})

function contextOf(coordination: ScenarioContext['coordination']): ScenarioContext {
  return { ...sceneOf(system), coordination, tell: () => undefined }
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
    await expectBalance(true, 30_000)
  })
})

describe('the books', () => {
  let orderId: string

  beforeAll(async () => {
    const context = contextOf('orchestrated')
    const sku = await makeProduct(context, 1)
    const order = await place(context, 'tok_ok', [{ sku, quantity: 1 }])
    orderId = order.orderId
    await expectBalance(true, 30_000)
  })

  afterAll(async () => {
    await expectBalance(true, 0)
  })

  it.each([
    {
      what: 'a saga is further than its log',
      line: 'sagas: their log, decided again = their row',
      database: 'orders',
      change: 'update saga set version = version + 1 where id = $1',
      undo: 'update saga set version = version - 1 where id = $1',
    },
    {
      what: 'the log of a saga has a decision that the machine would not make',
      line: 'sagas: their log, decided again = their row',
      database: 'orders',
      change: `update saga_log set note = 'resent' where saga_id = $1 and seq = 2`,
      undo: `update saga_log set note = 'done' where saga_id = $1 and seq = 2`,
    },
    {
      what: 'an order ended otherwise than its saga',
      line: 'sagas: ended otherwise than their order',
      database: 'orders',
      change: `update orders set status = 'cancelled', cancel_reason = 'customer-request' where order_id = $1`,
      undo: `update orders set status = 'confirmed', cancel_reason = null where order_id = $1`,
    },
    {
      what: 'a payment is gone',
      line: 'EUR: gateway captured − refunded = payments held',
      database: 'payments',
      change: `update payments set status = 'void' where order_id = $1`,
      undo: `update payments set status = 'captured' where order_id = $1`,
    },
    {
      what: 'stock was released twice',
      line: 'stock: on hand + shipped = received',
      database: 'inventory',
      change: `update stock set on_hand = on_hand + 1
               where sku = (select lines -> 0 ->> 'sku' from reservations where order_id = $1)`,
      undo: `update stock set on_hand = on_hand - 1
             where sku = (select lines -> 0 ->> 'sku' from reservations where order_id = $1)`,
    },
    {
      what: 'the statistics counted something twice',
      line: 'statistics: placed = orders',
      database: 'statistics',
      change: `update tallies set orders = orders + 1
               where $1 <> '' and minute = (select min(minute) from tallies) and kind = 'placed'`,
      undo: `update tallies set orders = orders - 1
             where $1 <> '' and minute = (select min(minute) from tallies) and kind = 'placed'`,
    },
  ] as const)('do not balance when $what', async ({ database, line, change, undo }) => {
    const client = new pg.Client({ connectionString: system.databases[database] })
    await client.connect()
    try {
      expect((await client.query(change, [orderId])).rowCount).toBe(1)
      const books = await settleBooks(system.databases, system.gatewayUrl, 0)
      expect(books.balanced).toBe(false)
      const unequal = books.lines.filter((one) => one.expected !== one.actual)
      expect(unequal.map((one) => one.name)).toContain(line)
    } finally {
      await client.query(undo, [orderId])
      await client.end()
    }
  })
})

async function expectBalance(balanced: boolean, timeoutMs: number): Promise<void> {
  const books = await settleBooks(system.databases, system.gatewayUrl, timeoutMs)
  expect(books.balanced, formatBooks(books)).toBe(balanced)
}
