import { type Database, openDatabase } from '@edp/runtime'
import type { TestDatabase } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { placeOrderBody } from '../src/api.ts'
import { createPlaceOrder, type PlaceOrder } from '../src/place-order.ts'
import { orderSagas } from '../src/sagas.ts'
import { cupAndPots } from './given.ts'
import { newKey, testDatabase } from './running.ts'

// The use case alone: what is called in one turn of the event loop is one group.

let owner: TestDatabase
let database: Database
let transactions = 0

beforeAll(async () => {
  owner = await testDatabase()
  const opened = openDatabase({ url: owner.serviceUrl, applicationName: 'test' })
  afterAll(() => opened.end())
  database = {
    ...opened,
    transaction: (work) => {
      transactions += 1
      return opened.transaction(work)
    },
  }
})

beforeEach(async () => {
  await owner.query('truncate orders, order_lines, order_timeline, outbox, idempotency_key')
  transactions = 0
})

test('a hundred orders that come together share one transaction, each with its own row and message', async () => {
  const placed = await placeAll(Array.from({ length: 100 }, () => request()))
  expect(transactions).toBe(1)
  expect(new Set(placed.map(orderIdOf)).size).toBe(100)
  const [counts] = await owner.query(
    `select (select count(*) from orders)::int as orders, (select count(*) from order_lines)::int as lines,
       (select count(*) from outbox)::int as messages,
       (select count(distinct xmin::text) from orders)::int as transactions`,
  )
  expect(counts).toEqual({ orders: 100, lines: 200, messages: 100, transactions: 1 })
})

test('copies within one group are one order: the first places it, the others get its answer', async () => {
  const one = request()
  const placed = await placeAll([one, request(), { ...one }, { ...one }])
  expect(transactions).toBe(2)
  const [first, other, ...copies] = placed
  for (const copy of copies) expect(copy).toEqual(first)
  expect(orderIdOf(other)).not.toBe(orderIdOf(first))
  expect(await owner.query('select order_id from orders')).toHaveLength(2)
})

test('another order under the same key, within one group, is refused', async () => {
  const one = request()
  const other = request({ key: one.idempotencyKey, body: { paymentToken: 'tok_slow' } })
  const placed = await placeAll([one, other])
  expect(placed.map((result) => result.kind)).toEqual(['accepted', 'other-payload'])
})

test('a group that fails runs again one by one, so that only the broken request fails', async () => {
  // What the schema of the route keeps out: Postgres refuses the whole statement because of it.
  const broken = request({ body: { customerId: 'a\0b' } })
  const place = createPlaceOrder({
    database,
    namespace: 'test',
    orderDeadlineMs: 1000,
    sagas: orderSagas,
  })
  const results = await Promise.allSettled([request(), broken, request()].map(place))
  expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await owner.query('select order_id from orders')).toHaveLength(2)
  expect(await owner.query('select message_id from outbox')).toHaveLength(2)
})

test('two groups with the same keys in another order do not deadlock', async () => {
  const one = createPlaceOrder({
    database,
    namespace: 'test',
    orderDeadlineMs: 1000,
    sagas: orderSagas,
  })
  const two = createPlaceOrder({
    database,
    namespace: 'test',
    orderDeadlineMs: 1000,
    sagas: orderSagas,
  })
  for (let round = 0; round < 20; round += 1) {
    const requests = Array.from({ length: 30 }, () => request())
    const [first, second] = await Promise.all([
      Promise.all(requests.map(one)),
      Promise.all(requests.toReversed().map(two)),
    ])
    expect(second.toReversed()).toEqual(first)
  }
})

function placeAll(requests: readonly PlaceOrder[]) {
  const place = createPlaceOrder({
    database,
    namespace: 'test',
    orderDeadlineMs: 1000,
    sagas: orderSagas,
  })
  return Promise.all(requests.map(place))
}

function request(options: { key?: string; body?: object } = {}): PlaceOrder {
  const { customerId, ...rest } = { ...cupAndPots, ...options.body }
  return {
    idempotencyKey: options.key ?? newKey(),
    body: { ...placeOrderBody.parse({ ...rest, customerId: 'ada' }), customerId },
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  }
}

function orderIdOf(placed: Awaited<ReturnType<typeof placeAll>>[number] | undefined): string {
  if (placed?.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(placed)}`)
  return placed.order.orderId
}
