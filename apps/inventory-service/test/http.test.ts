import { fileURLToPath } from 'node:url'
import { createHealth, createLogger, openDatabase } from '@edp/runtime'
import { createHttpServer, type HttpServer } from '@edp/runtime/http'
import { templateDatabase, type TestDatabase } from '@edp/testkit'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createStockQueries } from '../src/db/stock.ts'
import { routes } from '../src/http.ts'

let postgres: TestDatabase
let http: HttpServer
let close: () => Promise<void>
let sku: string

beforeAll(async () => {
  const migrations = fileURLToPath(new URL('../migrations', import.meta.url))
  postgres = await templateDatabase({ role: 'inventory_service', migrations })
  const database = openDatabase({ url: postgres.serviceUrl, applicationName: 'inventory-http' })
  http = await createHttpServer({
    name: 'inventory-service',
    logger: createLogger('inventory-http', 'error'),
    health: createHealth(),
    host: '127.0.0.1',
    port: 0,
  })
  await http.app.register(routes, { database, stock: createStockQueries(database.reads) })
  await http.component.start()
  close = async () => {
    await http.component.stop()
    await database.end()
    await postgres.drop()
  }
})

afterAll(() => close())

beforeEach(() => {
  sku = `sku-${randomUUID()}`
})

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(http.url() + path)
  return { status: response.status, body: await response.json() }
}

async function receive(body: unknown, to = sku): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`${http.url()}/stock/${encodeURIComponent(to)}/receive`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

describe('receiving stock', () => {
  test('makes an unknown SKU and adds to a known one', async () => {
    expect(await receive({ quantity: 5 })).toEqual({
      status: 200,
      body: { sku, onHand: 5, reserved: 0, available: 5 },
    })
    expect((await receive({ quantity: 7 })).body).toMatchObject({ onHand: 12 })
    expect(await get(`/stock/${sku}`)).toEqual({
      status: 200,
      body: { sku, onHand: 12, reserved: 0, available: 12 },
    })
  })

  test('the same delivery sent ten times at once counts once', async () => {
    const delivery = { quantity: 5, receiptId: randomUUID() }
    const answers = await Promise.all(Array.from({ length: 10 }, () => receive(delivery)))
    for (const answer of answers) {
      expect(answer).toEqual({ status: 200, body: { sku, onHand: 5, reserved: 0, available: 5 } })
    }
    const receipts = await postgres.query('select quantity from stock_receipts where sku = $1', [
      sku,
    ])
    expect(receipts).toEqual([{ quantity: 5 }])
  })

  test('another delivery under a receiptId that is taken is refused', async () => {
    const receiptId = randomUUID()
    await receive({ quantity: 5, receiptId })
    expect(await receive({ quantity: 6, receiptId })).toMatchObject({
      status: 409,
      body: { type: 'urn:problem:receipt-reused', status: 409 },
    })
    expect((await get(`/stock/${sku}`)).body).toMatchObject({ onHand: 5 })
  })

  test.each([
    [{}, ['body.quantity']],
    [{ quantity: '5' }, ['body.quantity']],
    [{ quantity: 0 }, ['body.quantity']],
    [{ quantity: 1.5, receiptId: 'mine' }, ['body.quantity', 'body.receiptId']],
    [{ quantity: 5, quantty: 5 }, ['body.quantty']],
    [[], ['body']],
  ])('a body %j is refused with the path of each problem', async (body, paths) => {
    const answer = await receive(body)
    expect(answer).toMatchObject({ status: 400, body: { type: 'urn:problem:invalid-request' } })
    const { errors } = answer.body as { errors: { path: string }[] }
    expect(errors.map((error) => error.path).toSorted()).toEqual(paths)
    expect((await get(`/stock/${sku}`)).status).toBe(404)
  })

  test('a body that is not JSON is a 400', async () => {
    expect(await receive('{"quantity":')).toMatchObject({ status: 400 })
  })

  test.each(['x'.repeat(65), '\0'])('the SKU %j is refused with its path', async (bad) => {
    expect(await receive({ quantity: 1 }, bad)).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'params.sku' }] },
    })
  })
})

describe('reading stock', () => {
  test('a SKU that is not known is a 404 problem', async () => {
    expect(await get(`/stock/${sku}`)).toMatchObject({
      status: 404,
      body: { type: 'urn:problem:unknown-sku', instance: `/stock/${sku}` },
    })
  })

  test('the pages of a list hold every SKU once', async () => {
    for (const name of ['a', 'b', 'c']) await receive({ quantity: 1 }, `page-${sku}-${name}`)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const { body } = await get(`/stock?limit=2&cursor=${encodeURIComponent(cursor)}`)
      const page = body as { stock: { sku: string }[]; nextCursor: string | null }
      expect(page.stock.length).toBeLessThanOrEqual(2)
      seen.push(...page.stock.map((item) => item.sku))
      cursor = page.nextCursor
    }
    const rows = await postgres.query('select sku from stock order by sku')
    expect(seen).toEqual(rows.map((row) => row['sku']))
  })

  test.each([
    ['limit=0', ['query.limit']],
    ['limit=many', ['query.limit']],
    ['limit=1001', ['query.limit']],
    ['limit=1e1', ['query.limit']],
    ['page=2', ['query.page']],
    ['cursor=%00', ['query.cursor']],
  ])('the query %s is refused with its path', async (query, paths) => {
    const answer = await get(`/stock?${query}`)
    expect(answer.status).toBe(400)
    const { errors } = answer.body as { errors: { path: string }[] }
    expect(errors.map((error) => error.path)).toEqual(paths)
  })
})

test('the sample catalogue has stock', async () => {
  for (const name of ['espresso-cup', 'moka-pot', 'coffee-beans-1kg']) {
    expect((await get(`/stock/${name}`)).body).toMatchObject({ onHand: 10_000, available: 10_000 })
  }
})

test('the OpenAPI document lists every route', async () => {
  const { body } = await get('/docs/json')
  expect(Object.keys((body as { paths: object }).paths).toSorted()).toEqual([
    '/stock',
    '/stock/{sku}',
    '/stock/{sku}/receive',
  ])
})
