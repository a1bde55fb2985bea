import { newId } from '@edp/event-schemas'
import type { TestDatabase } from '@edp/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { cupAndPots } from './given.ts'
import { get, json, placeOne, runService, testDatabase } from './running.ts'

let database: TestDatabase
let url: string

beforeAll(async () => {
  database = await testDatabase()
  url = (await runService(database)).url
})

describe('the list of orders', () => {
  test('is the same page by page while others are placed: none twice, none left out', async () => {
    const ids: string[] = []
    for (let n = 0; n < 25; n += 1) {
      ids.push(await placeOne(url, { ...cupAndPots, customerId: 'lister' }))
    }
    const seen: string[] = []
    let path = '/orders?customer=lister&limit=4'
    for (let pages = 0; ; pages += 1) {
      const { orders, nextCursor } = await get(url, path)
      seen.push(...orders.map((order: { orderId: string }) => order.orderId))
      if (nextCursor === null) break
      expect(orders).toHaveLength(4)
      expect(pages).toBeLessThan(10)
      await placeOne(url, { ...cupAndPots, customerId: 'lister' })
      path = `/orders?customer=lister&limit=4&cursor=${nextCursor}`
    }
    expect(seen).toEqual(ids.toReversed())
  })

  test('shows each order as it is shown alone', async () => {
    const orderId = await placeOne(url, { ...cupAndPots, customerId: 'shower' })
    const { orders, nextCursor } = await get(url, '/orders?customer=shower')
    expect(orders).toEqual([await get(url, `/orders/${orderId}`)])
    expect(nextCursor).toBeNull()
  })

  test('can be filtered by status and customer together', async () => {
    const customerId = 'filterer'
    const cancelled = await placeOne(url, { ...cupAndPots, customerId })
    const pending = await placeOne(url, { ...cupAndPots, customerId })
    await fetch(`${url}/orders/${cancelled}/cancel`, { method: 'POST' })
    expect(await idsOf('?customer=filterer&status=cancelling')).toEqual([cancelled])
    expect(await idsOf('?customer=filterer&status=pending')).toEqual([pending])
    expect(await idsOf('?customer=filterer&status=confirmed')).toEqual([])
    expect(await idsOf('?customer=nobody')).toEqual([])
    expect(await idsOf('?status=cancelling')).toContain(cancelled)
  })

  test('is empty after the last order', async () => {
    const first = '01890a5d-ac96-774b-bcce-b302099a8057'
    expect(await get(url, `/orders?cursor=${first}`)).toEqual({ orders: [], nextCursor: null })
  })
})

describe('a customer’s cancel', () => {
  test('gives a pending order up, once, and tells who has to undo', async () => {
    const orderId = await placeOne(url, cupAndPots)
    const first = await cancel(orderId)
    expect(first.status).toBe(202)
    const order = await json(first)
    expect(order).toMatchObject({
      orderId,
      status: 'cancelling',
      cancelReason: 'customer-request',
      endedAt: null,
      lines: [{ sku: 'espresso-cup' }, { sku: 'moka-pot' }],
    })
    expect(await get(url, `/orders/${orderId}`)).toEqual(order)

    const again = await cancel(orderId.toUpperCase())
    expect(again.status).toBe(200)
    expect(await json(again)).toEqual(order)

    const messages = await database.query(
      `select message_id, payload from outbox where key = $1 and type = 'order.cancelling.v1'`,
      [orderId],
    )
    expect(messages).toMatchObject([
      { payload: { orderId, reason: 'customer-request', currency: 'EUR' } },
    ])
    const { status, entries } = await get(url, `/orders/${orderId}/timeline`)
    expect(status).toBe('cancelling')
    expect(entries).toMatchObject([
      { type: 'order.placed.v1' },
      { type: 'cancel.requested', messageId: null, source: 'order-service' },
      {
        type: 'order.cancelling.v1',
        messageId: messages[0]?.['message_id'],
        detail: { reason: 'customer-request' },
      },
    ])
  })

  test('sent twenty times at once gives it up once', async () => {
    const orderId = await placeOne(url, cupAndPots)
    const responses = await Promise.all(Array.from({ length: 20 }, () => cancel(orderId)))
    const accepted = responses.filter((response) => response.status === 202)
    const repeated = responses.filter((response) => response.status === 200)
    expect([accepted.length, repeated.length]).toEqual([1, 19])
    const messages = await database.query(`select type from outbox where key = $1 order by id`, [
      orderId,
    ])
    expect(messages.map((row) => row['type'])).toEqual(['order.placed.v1', 'order.cancelling.v1'])
  })

  test('of a confirmed order is refused', async () => {
    const orderId = await placeOne(url, cupAndPots)
    await database.query(
      `update orders set status = 'confirmed', ended_at = now() where order_id = $1`,
      [orderId],
    )
    const response = await cancel(orderId)
    expect(response.status).toBe(409)
    expect(await json(response)).toMatchObject({ type: 'urn:problem:order-confirmed' })
  })
})

describe('the catalogue', () => {
  test('has the samples, page by page', async () => {
    const first = await get(url, '/products?limit=2')
    expect(first.products).toEqual([
      {
        sku: 'coffee-beans-1kg',
        name: 'Coffee beans, 1 kg',
        unitPriceMinor: 1850,
        currency: 'EUR',
      },
      { sku: 'espresso-cup', name: 'Espresso cup', unitPriceMinor: 1200, currency: 'EUR' },
    ])
    const rest = await get(url, `/products?cursor=${first.nextCursor}`)
    expect(rest).toEqual({
      products: [{ sku: 'moka-pot', name: 'Moka pot', unitPriceMinor: 3900, currency: 'EUR' }],
      nextCursor: null,
    })
  })

  test('takes a new product and a new price for later orders; older ones keep theirs', async () => {
    const sku = `gift-${newId()}`
    const order = { ...cupAndPots, lines: [{ sku, quantity: 3 }] }
    const product = { name: 'Gift', unitPriceMinor: 100, currency: 'EUR' }
    expect(await json(await put(sku, product))).toEqual({ sku, ...product })
    const before = await placeOne(url, order)
    await put(sku, { ...product, unitPriceMinor: 70 })
    const after = await placeOne(url, order)
    expect((await get(url, `/orders/${before}`)).amountMinor).toBe(300)
    expect((await get(url, `/orders/${after}`)).amountMinor).toBe(210)
  })
})

test('the OpenAPI document names every route with its problems', async () => {
  const { openapi, paths } = await get(url, '/docs/json')
  expect(openapi).toBe('3.1.0')
  expect(Object.keys(paths).toSorted()).toEqual([
    '/orders',
    '/orders/{id}',
    '/orders/{id}/cancel',
    '/orders/{id}/timeline',
    '/products',
    '/products/{sku}',
    '/sagas',
    '/sagas/{id}',
    '/sagas/{id}/cancel',
    '/sagas/{id}/retry',
    '/sagas/{id}/skip',
  ])
  expect(Object.keys(paths['/sagas/{id}/skip'].post.responses)).toEqual([
    '200',
    '400',
    '404',
    '409',
    '412',
    '428',
  ])
  expect(JSON.stringify(paths['/sagas/{id}/skip'].post.parameters)).toContain('if-match')
  expect(Object.keys(paths['/orders'].post.responses)).toEqual(['202', '400', '409', '422'])
  expect(JSON.stringify(paths['/orders'].post.parameters)).toContain('idempotency-key')
  expect((await fetch(`${url}/docs`)).status).toBe(200)
})

test('metrics say how many orders were placed and in which groups', async () => {
  const count = async (name: string) => {
    const text = await (await fetch(`${url}/metrics`)).text()
    const samples = [...text.matchAll(new RegExp(`^${name}(?:{[^}]*})? (\\d+)`, 'gm'))]
    return samples.reduce((sum, [, value]) => sum + Number(value), 0)
  }
  const orders = await count('edp_orders_placed_total')
  const groups = await count('edp_place_order_group_orders_count')
  await placeOne(url, cupAndPots)
  expect(await count('edp_orders_placed_total')).toBe(orders + 1)
  expect(await count('edp_place_order_group_orders_count')).toBe(groups + 1)
})

function cancel(orderId: string): Promise<Response> {
  return fetch(`${url}/orders/${orderId}/cancel`, { method: 'POST' })
}

function put(sku: string, product: object): Promise<Response> {
  return fetch(`${url}/products/${sku}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(product),
  })
}

async function idsOf(query: string): Promise<string[]> {
  const { orders } = await get(url, `/orders${query}`)
  return orders.map((order: { orderId: string }) => order.orderId)
}
