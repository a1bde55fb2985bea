import { problem } from '@edp/runtime/http'
import { describe, expect, it } from 'vitest'
import { serve } from './served.ts'
import { edp } from './terminal.ts'

const order = {
  orderId: 'order-1',
  customerId: 'ada',
  status: 'pending',
  coordination: 'orchestrated',
  priority: 'standard',
  currency: 'EUR',
  amountMinor: 6300,
  lines: [{ sku: 'espresso-cup', quantity: 2, unitPriceMinor: 3150 }],
  cancelReason: null,
  placedAt: '2026-01-31T10:00:00.000Z',
  dueAt: '2026-01-31T10:15:00.000Z',
  endedAt: null,
}
const saga = {
  sagaId: 'order-1',
  status: 'needs_human',
  step: 'charge',
  direction: 'undo',
  attempt: 9,
  dueAt: null,
  trouble: 'failed',
  cause: null,
  skipped: [],
  deadlineAt: null,
  version: 7,
  startedAt: '2026-01-31T10:00:00.000Z',
  changedAt: '2026-01-31T10:00:00.000Z',
  remainingSteps: [{ step: 'charge', direction: 'undo', underWay: true }],
  log: [],
}
const entry = (type: string) => ({
  at: '2026-01-31T10:00:00.000Z',
  type,
  source: 'order-service',
  detail: null,
})

describe('orders', () => {
  it('places an order under the key that was given, and shows it', async () => {
    await using orders = await serve((app) => {
      app.post('/orders', (_request, reply) => reply.code(202).send(order))
    })
    const words = ['orders', 'place', 'espresso-cup=2', 'gift', '--customer', 'ada']
    const { code, out, err } = await edp([...words, '--key', 'k1', '--url', orders.url])
    expect(orders.asked).toMatchObject([
      {
        headers: { 'idempotency-key': 'k1' },
        body: {
          customerId: 'ada',
          currency: 'EUR',
          paymentToken: 'tok_ok',
          lines: [
            { sku: 'espresso-cup', quantity: 2 },
            { sku: 'gift', quantity: 1 },
          ],
        },
      },
    ])
    expect(out).toContain('amount    63.00 EUR')
    expect([code, err]).toEqual([0, 'Idempotency-Key: k1\n'])
  })

  it('tells the key under which an order may have been placed, when the answer is lost', async () => {
    await using orders = await serve((app) => {
      app.post('/orders', (request) => request.raw.destroy())
    })
    const words = ['orders', 'place', 'gift', '--customer', 'ada', '--url', orders.url]
    const { code, err } = await edp(words)
    const [, key] = /^Idempotency-Key: (\S+)$/m.exec(err) ?? []
    expect(code).toBe(1)
    expect(err).toContain(`the same command with --key ${key} finds out`)
  })

  it('tells what happens to an order until it has ended, each thing once', async () => {
    const seen = [entry('order.placed.v1'), entry('stock.reserved.v1'), entry('order.confirmed.v1')]
    let looked = 0
    await using orders = await serve((app) => {
      app.get('/orders/:id/timeline', () => {
        looked += 1
        const status = looked < 3 ? 'pending' : 'confirmed'
        return { orderId: 'order-1', status, entries: seen.slice(0, looked) }
      })
    })
    const { code, out } = await edp(['orders', 'watch', 'order-1', '--url', orders.url])
    const lines = out.trimEnd().split('\n')
    expect(lines.map((line) => line.split(/\s+/)[1])).toEqual([
      'order.placed.v1',
      'stock.reserved.v1',
      'order.confirmed.v1',
      'order',
    ])
    expect([code, lines.at(-1)]).toEqual([0, 'the order is confirmed'])
  })

  it('gives a watched order up after the time that it was given', async () => {
    await using orders = await serve((app) => {
      app.get('/orders/:id/timeline', () => ({ orderId: '1', status: 'pending', entries: [] }))
    })
    const words = ['orders', 'watch', '1', '--timeout', '1', '--url', orders.url]
    const { code, err } = await edp(words)
    expect([code, err]).toEqual([1, 'edp: the order is pending after 1 s\n'])
  })

  it('finds order-service by the environment', async () => {
    await using orders = await serve((app) => {
      app.get('/orders', () => ({ orders: [order], nextCursor: null }))
    })
    const { out } = await edp(['orders', 'list', '--status', 'pending'], {
      env: { EDP_ORDER_SERVICE_URL: orders.url },
    })
    expect(out).toContain('63.00 EUR')
  })
})

describe('sagas', () => {
  it('acts on the version that it has read, and says who and why', async () => {
    await using orders = await serve((app) => {
      app.get('/sagas/:id', (_request, reply) => reply.header('etag', '"7"').send(saga))
      app.post('/sagas/:id/retry', () => saga)
    })
    const words = ['sagas', 'retry', 'order-1', '--why', 'bank mended', '--url', orders.url]
    const { code } = await edp(words)
    expect(code).toBe(0)
    expect(orders.asked.at(-1)).toMatchObject({
      headers: { 'if-match': '"7"' },
      body: { actor: 'ada', reason: 'bank mended' },
    })
  })

  it('is refused for the version that the operator has seen, when the saga has changed since', async () => {
    await using orders = await serve((app) => {
      app.post('/sagas/:id/skip', () => {
        throw problem(412, 'saga-changed', 'The saga is at version 8 by now.')
      })
    })
    const words = ['sagas', 'skip', 'order-1', '--version', '7', '--why', 'w', '--url', orders.url]
    const { code, err } = await edp(words)
    expect(orders.asked).toMatchObject([{ headers: { 'if-match': '"7"' } }])
    expect([code, err]).toEqual([
      1,
      'edp: Precondition Failed (412): The saga is at version 8 by now.\n',
    ])
  })

  it.each([
    { what: 'reads again and acts when only its timer came between', later: saga, code: 0 },
    {
      what: 'does not act on a saga that has gone on',
      later: { ...saga, step: 'reserve' },
      code: 1,
    },
  ])('$what', async ({ later, code }) => {
    let reads = 0
    await using orders = await serve((app) => {
      app.get('/sagas/:id', (_request, reply) => {
        reads += 1
        return reply.header('etag', `"${6 + reads}"`).send(reads === 1 ? saga : later)
      })
      app.post('/sagas/:id/retry', (request) => {
        if (request.headers['if-match'] === '"8"') return saga
        throw problem(412, 'saga-changed', 'The saga is at version 8 by now.')
      })
    })
    const words = ['sagas', 'retry', 'order-1', '--why', 'bank mended', '--url', orders.url]
    expect(await edp(words)).toMatchObject({ code })
    expect(reads).toBe(2)
  })

  it('lists those that were started before a time ago', async () => {
    await using orders = await serve((app) => {
      app.get('/sagas', () => ({ sagas: [saga], nextCursor: null }))
    })
    const words = ['sagas', 'list', '--status', 'needs_human', '--older-than', '30m']
    const { out } = await edp([...words, '--url', orders.url])
    const olderThan = new URL(orders.asked[0]?.url ?? '', orders.url).searchParams.get('olderThan')
    expect(Math.abs(Date.now() - 1_800_000 - Date.parse(olderThan ?? ''))).toBeLessThan(60_000)
    expect(out).toMatch(/order-1 +needs_human .* undo charge +9 +failed +7/)
  })

  it('says what was not as expected of an answer that it cannot use', async () => {
    await using orders = await serve((app) => {
      app.get('/sagas/:id', () => ({ sagaId: 'order-1' }))
    })
    const { code, err } = await edp(['sagas', 'show', 'order-1', '--url', orders.url])
    expect(code).toBe(1)
    expect(err).toContain('was answered with something else than expected: status: Invalid input')
  })
})
