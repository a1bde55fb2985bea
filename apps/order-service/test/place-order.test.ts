import { hash } from 'node:crypto'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { TestDatabase } from '@edp/testkit'
import { waitFor } from '@edp/testkit'
import { amountMinor, cupAndPots } from './given.ts'
import { get, json, newKey, post, runService, testDatabase } from './running.ts'

let database: TestDatabase
let url: string

beforeAll(async () => {
  database = await testDatabase()
  const service = await runService(database, { LOCK_TIMEOUT_MS: '300' })
  url = service.url
})

beforeEach(async () => {
  await database.query('truncate orders, order_lines, order_timeline, outbox, idempotency_key')
})

describe('an order', () => {
  test('is answered with 202, its place and what GET shows of it', async () => {
    const response = await post(url, cupAndPots)
    expect(response.status).toBe(202)
    const order = await json(response)
    expect(order).toEqual({
      orderId: expect.any(String),
      customerId: 'ada',
      status: 'pending',
      coordination: 'choreographed',
      priority: 'standard',
      currency: 'EUR',
      amountMinor,
      lines: [
        { sku: 'espresso-cup', quantity: 1, unitPriceMinor: 1200 },
        { sku: 'moka-pot', quantity: 2, unitPriceMinor: 3900 },
      ],
      cancelReason: null,
      placedAt: expect.any(String),
      dueAt: expect.any(String),
      endedAt: null,
    })
    expect(Date.parse(order.dueAt) - Date.parse(order.placedAt)).toBe(300_000)
    expect(response.headers.get('location')).toBe(`/orders/${order.orderId}`)
    expect(await get(url, `/orders/${order.orderId}`)).toEqual(order)
  })

  test('is announced once, in its own transaction, with the caller’s trace', async () => {
    const trace = '0af7651916cd43dd8448eb211c80319c'
    const response = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'idempotency-key': newKey(),
        traceparent: `00-${trace}-b7ad6b7169203331-01`,
      },
      body: JSON.stringify(cupAndPots),
    })
    const { orderId } = await json(response)
    const rows = await database.query(
      `select *, (select xmin::text from orders) as order_tx, xmin::text as own_tx from outbox`,
    )
    expect(rows).toMatchObject([
      {
        transport: 'kafka',
        destination: 'edp.order.events',
        key: orderId,
        type: 'order.placed.v1',
        payload: {
          orderId,
          customerId: 'ada',
          lines: [
            { sku: 'espresso-cup', quantity: 1, unitPriceMinor: 1200 },
            { sku: 'moka-pot', quantity: 2, unitPriceMinor: 3900 },
          ],
          payment: { amountMinor, currency: 'EUR', paymentRef: 'tok_ok' },
          priority: 'standard',
        },
        headers: {
          ce_source: 'order-service',
          ce_subject: orderId,
          ce_coordination: 'choreographed',
          ce_traceparent: expect.stringContaining(trace),
        },
      },
    ])
    expect(rows[0]?.['own_tx']).toBe(rows[0]?.['order_tx'])
  })

  test('begins its timeline with the message that announces it, without the payment token', async () => {
    const { orderId } = await json(await post(url, cupAndPots))
    const [message] = await database.query('select message_id from outbox')
    const timeline = await get(url, `/orders/${orderId}/timeline`)
    expect(timeline).toEqual({
      orderId,
      status: 'pending',
      entries: [
        {
          at: expect.any(String),
          type: 'order.placed.v1',
          messageId: message?.['message_id'],
          causationId: null,
          source: 'order-service',
          detail: null,
        },
      ],
    })
  })

  test('with lines that cannot be sold is refused with the path of each, and leaves nothing', async () => {
    const lines = [
      { sku: 'no-such-thing', quantity: 1 },
      { sku: 'moka-pot', quantity: 1 },
      { sku: 'nor-this', quantity: 1 },
    ]
    const response = await post(url, { ...cupAndPots, lines })
    expect(response.status).toBe(422)
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(await json(response)).toMatchObject({
      type: 'urn:problem:cannot-be-sold',
      errors: [{ path: 'body.lines.0.sku' }, { path: 'body.lines.2.sku' }],
    })
    expect(await rowCounts(database)).toEqual(nothing)
  })

  test('that costs more than an order may is refused, and leaves nothing', async () => {
    const lines = [{ sku: 'moka-pot', quantity: 1_000_000 }]
    const response = await post(url, { ...cupAndPots, lines })
    expect(response.status).toBe(422)
    expect(await json(response)).toMatchObject({
      type: 'urn:problem:cannot-be-sold',
      errors: [{ path: 'body.lines', message: expect.stringContaining('at most 99999999') }],
    })
    expect(await rowCounts(database)).toEqual(nothing)
  })

  test('in another currency than its products is refused', async () => {
    const response = await post(url, { ...cupAndPots, currency: 'USD' })
    expect(response.status).toBe(422)
    expect((await json(response)).errors).toHaveLength(2)
  })

  test('whose transaction fails leaves nothing, and the same request can be sent again', async () => {
    const key = newKey()
    await database.query(
      `create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'the disk is on fire' using errcode = '23514'; end $$`,
    )
    await database.query('create trigger refuse before insert on outbox execute function refuse()')
    try {
      expect((await post(url, cupAndPots, key)).status).toBe(500)
      expect(await rowCounts(database)).toEqual(nothing)
    } finally {
      await database.query('drop function refuse cascade')
    }
    expect((await post(url, cupAndPots, key)).status).toBe(202)
    expect(await rowCounts(database)).toEqual(oneOrder)
  })
})

describe('the same request sent again', () => {
  test('gets the same answer byte for byte, whatever has happened since', async () => {
    const key = newKey()
    const first = await post(url, cupAndPots, key)
    const bytes = await first.text()
    const { orderId } = JSON.parse(bytes)
    await fetch(`${url}/orders/${orderId}/cancel`, { method: 'POST' })
    // Neither another price, nor that it could not be sold at all today, changes what was answered.
    for (const currency of ['EUR', 'USD']) {
      await database.query(
        `update products set unit_price_minor = 1, currency = $1 where sku = 'moka-pot'`,
        [currency],
      )
      const again = await post(url, cupAndPots, key)
      expect(again.status).toBe(202)
      expect(await again.text()).toBe(bytes)
      expect(again.headers.get('location')).toBe(first.headers.get('location'))
      expect(again.headers.get('content-type')).toBe(first.headers.get('content-type'))
    }
    await database.query(
      `update products set unit_price_minor = 3900, currency = 'EUR' where sku = 'moka-pot'`,
    )
    expect((await rowCounts(database))['orders']).toBe(1)
  })

  test('may be written differently', async () => {
    const key = newKey()
    const first = await (await post(url, cupAndPots, key)).text()
    const { customerId, currency, lines, paymentToken, coordination } = cupAndPots
    const same = { coordination, paymentToken, priority: 'standard', lines, currency, customerId }
    const again = await fetch(`${url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(same, null, 4),
    })
    expect(await again.text()).toBe(first)
  })

  test('fifty times at once, over two processes, makes one order and one answer', async () => {
    // Whoever comes second waits for the first one, which takes its time on a busy machine.
    const [one, other] = [await runPatiently(), await runPatiently()]
    const key = newKey()
    const all = Array.from({ length: 50 }, (_, index) =>
      post(index % 2 === 0 ? one.url : other.url, cupAndPots, key),
    )
    const responses = await Promise.all(all)
    expect(new Set(responses.map((response) => response.status))).toEqual(new Set([202]))
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect(new Set(bodies).size).toBe(1)
    expect(await rowCounts(database)).toEqual(oneOrder)
    for (const service of [one, other]) await service.stop()
  })
})

describe('the key', () => {
  test('with another order is refused', async () => {
    const key = newKey()
    await post(url, cupAndPots, key)
    const other = { ...cupAndPots, paymentToken: 'tok_declined' }
    const response = await post(url, other, key)
    expect(response.status).toBe(422)
    expect(await json(response)).toMatchObject({ type: 'urn:problem:idempotency-key-reused' })
    expect(await rowCounts(database)).toEqual(oneOrder)
  })

  test('with an order that could not even be sold is refused because of the key', async () => {
    const key = newKey()
    await post(url, cupAndPots, key)
    const other = { ...cupAndPots, lines: [{ sku: 'no-such-thing', quantity: 1 }] }
    const problem = await json(await post(url, other, key))
    expect(problem.type).toBe('urn:problem:idempotency-key-reused')
  })

  test('of a request that came before there were priorities is the same key', async () => {
    const key = newKey()
    const first = await json(await post(url, cupAndPots, key))
    const { customerId, currency, lines, paymentToken } = cupAndPots
    const said = { customerId, currency, lines, paymentToken, coordination: 'choreographed' }
    await database.query('update idempotency_key set fingerprint = $1', [
      hash('sha256', JSON.stringify(said), 'base64'),
    ])
    expect(await json(await post(url, cupAndPots, key))).toEqual(first)
    expect(await rowCounts(database)).toEqual(oneOrder)
  })

  test('of another customer is another key', async () => {
    const key = newKey()
    const first = await json(await post(url, cupAndPots, key))
    const second = await json(await post(url, { ...cupAndPots, customerId: 'grace' }, key))
    expect(second).toMatchObject({ customerId: 'grace' })
    expect(second.orderId).not.toBe(first.orderId)
  })

  test('that another transaction holds is waited for, and free when that is rolled back', async () => {
    const patient = await runPatiently()
    const key = newKey()
    const holder = await holdKey(database, 'ada', key)
    const response = post(patient.url, cupAndPots, key)
    await holder.somebodyWaits()
    await holder.release()
    expect((await response).status).toBe(202)
    await patient.stop()
  })

  test('that is not free within the lock time-out gets 409 with Retry-After, and others their orders', async () => {
    const key = newKey()
    const holder = await holdKey(database, 'ada', key)
    const [blocked, ...others] = await Promise.all([
      post(url, cupAndPots, key),
      post(url, cupAndPots),
      post(url, { ...cupAndPots, customerId: 'grace' }, key),
    ])
    await holder.release()
    expect(blocked.status).toBe(409)
    expect(blocked.headers.get('retry-after')).toBe('1')
    expect(await json(blocked)).toMatchObject({ type: 'urn:problem:request-in-progress' })
    expect(others.map((response) => response.status)).toEqual([202, 202])
    expect((await post(url, cupAndPots, key)).status).toBe(202)
  })
})

/** A service that waits for a lock for as long as its statements may take. */
const runPatiently = () => runService(database, { LOCK_TIMEOUT_MS: '6000' })

const tables = ['orders', 'order_lines', 'order_timeline', 'outbox', 'idempotency_key'] as const
const nothing = {
  orders: 0,
  order_lines: 0,
  order_timeline: 0,
  outbox: 0,
  idempotency_key: 0,
}
const oneOrder = { orders: 1, order_lines: 2, order_timeline: 1, outbox: 1, idempotency_key: 1 }

async function rowCounts(of: TestDatabase): Promise<Record<string, unknown>> {
  const counts = tables.map((table) => `(select count(*) from ${table}) as ${table}`)
  const [row] = await of.query(`select ${counts.join(', ')}`)
  return Object.fromEntries(Object.entries(row ?? {}).map(([table, n]) => [table, Number(n)]))
}

/** Another process that has inserted the key and does not end. */
async function holdKey(of: TestDatabase, scope: string, key: string) {
  const client = new pg.Client({ connectionString: of.url })
  await client.connect()
  await client.query('begin')
  await client.query(
    `insert into idempotency_key (scope, key, fingerprint, status, body) values ($1, $2, '', 202, '{}')`,
    [scope, key],
  )
  return {
    somebodyWaits: () =>
      waitFor(
        async () =>
          (
            await of.query(
              `select 1 from pg_locks where not granted and locktype = 'transactionid'`,
            )
          ).length,
        { message: 'somebody waits for the key' },
      ),
    release: async () => {
      await client.query('rollback')
      await client.end()
    },
  }
}
