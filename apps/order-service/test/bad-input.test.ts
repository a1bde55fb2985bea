import { once } from 'node:events'
import { type IncomingMessage, request as httpRequest } from 'node:http'
import { newId } from '@edp/event-schemas'
import type { TestDatabase } from '@edp/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { cupAndPots } from './given.ts'
import { json, newKey, runService, testDatabase } from './running.ts'

let database: TestDatabase
let url: string

beforeAll(async () => {
  database = await testDatabase()
  url = (await runService(database)).url
})

const cup = { sku: 'espresso-cup', quantity: 1 }

describe('a bad order', () => {
  const order = (change: object) => JSON.stringify({ ...cupAndPots, ...change })
  const lines = (...all: unknown[]) => order({ lines: all })

  test.each<[what: string, body: string, paths: string[]]>([
    [
      'without anything',
      '{}',
      ['body.customerId', 'body.currency', 'body.lines', 'body.paymentToken'],
    ],
    ['that is no object', '[]', ['body']],
    ['that is null', 'null', ['body']],
    ['with an unknown field', order({ discount: 10 }), ['body.discount']],
    ['with a price', lines({ ...cup, unitPriceMinor: 1 }), ['body.lines.0.unitPriceMinor']],
    ['with an amount', order({ amountMinor: 1 }), ['body.amountMinor']],
    ['without lines', order({ lines: [] }), ['body.lines']],
    [
      'with 51 lines',
      lines(...Array.from({ length: 51 }, (_, n) => ({ sku: `s${n}`, quantity: 1 }))),
      ['body.lines'],
    ],
    ['with a SKU twice', lines(cup, { sku: 'moka-pot', quantity: 1 }, cup), ['body.lines.2.sku']],
    ['with a quantity of 0', lines({ ...cup, quantity: 0 }), ['body.lines.0.quantity']],
    ['with a negative quantity', lines({ ...cup, quantity: -1 }), ['body.lines.0.quantity']],
    ['with half a cup', lines({ ...cup, quantity: 0.5 }), ['body.lines.0.quantity']],
    ['with too many', lines({ ...cup, quantity: 1_000_001 }), ['body.lines.0.quantity']],
    ['with a number as text', lines({ ...cup, quantity: '1' }), ['body.lines.0.quantity']],
    ['with a flag as a number', lines({ ...cup, quantity: true }), ['body.lines.0.quantity']],
    ['with text that is a number', order({ customerId: 42 }), ['body.customerId']],
    ['with an empty customer', order({ customerId: '' }), ['body.customerId']],
    ['with a long customer', order({ customerId: 'x'.repeat(101) }), ['body.customerId']],
    ['with a NUL', order({ customerId: 'a\0b' }), ['body.customerId']],
    ['with half a character', order({ paymentToken: 'tok_\uD800' }), ['body.paymentToken']],
    ['with a line feed in a SKU', lines({ ...cup, sku: 'cup\n' }), ['body.lines.0.sku']],
    ['with a currency in small letters', order({ currency: 'eur' }), ['body.currency']],
    ['in another coordination', order({ coordination: 'improvised' }), ['body.coordination']],
    ['with an unknown priority', order({ priority: 'asap' }), ['body.priority']],
    [
      'that is express where nothing can overtake',
      order({ priority: 'express', coordination: 'choreographed' }),
      ['body.priority'],
    ],
    [
      'with problems in many places',
      order({ customerId: null, lines: [cup, { sku: '', quantity: 'two' }], colour: 'red' }),
      ['body.customerId', 'body.lines.1.sku', 'body.lines.1.quantity', 'body.colour'],
    ],
    [
      'with a SKU twice and other problems',
      order({ customerId: null, lines: [cup, cup], colour: 'red' }),
      ['body.customerId', 'body.lines.1.sku', 'body.colour'],
    ],
  ])('%s is refused with the path of each problem', async (_what, body, paths) => {
    const response = await send({ body })
    expect(response.status).toBe(400)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    const problem = await json(response)
    expect(problem).toMatchObject({ status: 400, instance: '/orders' })
    const found = problem.errors.map((error: { path: string }) => error.path)
    expect(found.toSorted()).toEqual(paths.toSorted())
  })

  test.each([
    ['malformed JSON', { body: '{"customerId":' }, 400],
    ['an empty body', { body: '' }, 400],
    ['a prototype in it', { body: '{"__proto__":{"admin":true}}' }, 400],
    ['another content type', { body: '<order/>', type: 'application/xml' }, 415],
    ['no content type', { body: JSON.stringify(cupAndPots), type: '' }, 415],
    ['too many bytes', { body: `"${'x'.repeat(300 * 1024)}"` }, 413],
    ['a query', { body: JSON.stringify(cupAndPots), query: '?dry-run=1' }, 400],
  ])('with %s is refused as a problem', async (_what, request, status) => {
    const response = await send(request)
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    expect(await json(response)).toMatchObject({ status })
  })

  test.each([
    ['no', null],
    ['an empty', ''],
    ['a long', 'k'.repeat(201)],
  ])('with %s Idempotency-Key is refused', async (_what, key) => {
    const response = await send({ body: JSON.stringify(cupAndPots), key })
    expect(response.status).toBe(400)
    expect((await json(response)).errors).toMatchObject([{ path: 'headers.idempotency-key' }])
  })

  test.each([
    ['two', ['k-1', 'k-2']],
    ['the same', ['k-1', 'k-1']],
  ])('with %s Idempotency-Key headers is refused', async (_what, keys) => {
    const request = httpRequest(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': keys },
    })
    request.end(JSON.stringify(cupAndPots))
    const [response]: IncomingMessage[] = await once(request, 'response')
    response?.resume()
    expect(response?.statusCode).toBe(400)
  })

  test('leaves nothing behind', async () => {
    const rows = await database.query(
      'select (select count(*) from orders)::int + (select count(*) from idempotency_key)::int as n',
    )
    expect(rows).toEqual([{ n: 0 }])
  })
})

describe('a bad request', () => {
  test.each([
    ['GET', '/orders?status=lost', 400, ['query.status']],
    ['GET', '/orders?limit=0', 400, ['query.limit']],
    ['GET', '/orders?limit=101', 400, ['query.limit']],
    ['GET', '/orders?limit=1e1', 400, ['query.limit']],
    ['GET', '/orders?limit=0x10', 400, ['query.limit']],
    ['GET', '/orders?limit=%2B5', 400, ['query.limit']],
    ['GET', '/orders?limit=%2010', 400, ['query.limit']],
    ['GET', '/orders?limit=5&limit=6', 400, ['query.limit']],
    ['GET', '/orders?cursor=yesterday', 400, ['query.cursor']],
    ['GET', '/orders?customer=', 400, ['query.customer']],
    ['GET', '/orders?colour=red&status=lost', 400, ['query.colour', 'query.status']],
    ['GET', '/orders/42', 400, ['params.id']],
    // A uuid v4 was never an order's.
    ['GET', '/orders/9f4e3a9c-7a2b-4f7e-9d4e-0d1f2a3b4c5d', 400, ['params.id']],
    ['GET', `/orders/${newId()}?verbose=1`, 400, ['query.verbose']],
    ['GET', `/orders/${newId()}`, 404, undefined],
    ['GET', `/orders/${newId()}/timeline`, 404, undefined],
    ['POST', `/orders/${newId()}/cancel`, 404, undefined],
    ['POST', '/orders/42/cancel', 400, ['params.id']],
    ['DELETE', `/orders/${newId()}`, 404, undefined],
    ['GET', '/nothing-here', 404, undefined],
    ['GET', `/products?cursor=${'x'.repeat(65)}`, 400, ['query.cursor']],
  ])('%s %s is %i with the path of each problem', async (method, path, status, paths) => {
    const response = await fetch(`${url}${path}`, { method })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json')
    const problem = await json(response)
    expect(problem).toMatchObject({ status, instance: path.split('?')[0] })
    const found = problem.errors?.map((error: { path: string }) => error.path)
    expect(found?.toSorted()).toEqual(paths?.toSorted())
  })

  test.each([
    [{ name: 'Cup', currency: 'EUR' }, ['body.unitPriceMinor']],
    [{ name: 'Cup', currency: 'EUR', unitPriceMinor: 12.5 }, ['body.unitPriceMinor']],
    [{ name: 'Cup', currency: 'EUR', unitPriceMinor: -1 }, ['body.unitPriceMinor']],
    [{ name: 'Cup', currency: 'EUR', unitPriceMinor: 100_000_001 }, ['body.unitPriceMinor']],
    [{ name: '', currency: 'euro', unitPriceMinor: 1 }, ['body.name', 'body.currency']],
    [{ name: 'Cup', currency: 'EUR', unitPriceMinor: 1, sku: 'other' }, ['body.sku']],
  ])('the product %j is refused', async (product, paths) => {
    const response = await fetch(`${url}/products/cup`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(product),
    })
    expect(response.status).toBe(400)
    const found = (await json(response)).errors.map((error: { path: string }) => error.path)
    expect(found.toSorted()).toEqual(paths.toSorted())
  })

  test('a cancel that says anything but its path is refused', async () => {
    const response = await fetch(`${url}/orders/${newId()}/cancel`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ reason: 'too dear' }),
    })
    expect(response.status).toBe(400)
    expect((await json(response)).errors).toMatchObject([{ path: 'body.reason' }])
  })
})

function send(request: { body: string; type?: string; key?: string | null; query?: string }) {
  const { body, type = 'application/json', key = newKey(), query = '' } = request
  const headers = new Headers()
  if (type !== '') headers.set('content-type', type)
  if (key !== null) headers.set('idempotency-key', key)
  // As bytes: of a text fetch would guess the content type.
  return fetch(`${url}/orders${query}`, { method: 'POST', headers, body: Buffer.from(body) })
}
