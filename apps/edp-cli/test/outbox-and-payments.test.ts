import { problem } from '@edp/runtime/http'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { serve } from './served.ts'
import { edp } from './terminal.ts'

const row = {
  database: 'orders',
  transport: 'kafka',
  id: 17,
  status: 'dead',
  messageId: '01984b1e-0000-7000-8000-000000000001',
  destination: 'edp.order.events',
  key: 'order-1',
  type: 'order.placed.v1',
  errorCode: 'message-too-large',
  errorMessage: 'too large',
  payloadBytes: 21,
  createdAt: '2026-01-31T10:00:00.000Z',
  movedAt: '2026-01-31T10:00:00.000Z',
}
const onRecord = { by: z.string().min(1), why: z.string().min(1) }

/** A server with the routes and strict bodies that outbox-relay is specified to have. */
const serveSpecifiedRelay = () =>
  serve((app) => {
    app.get('/dead-rows', () => ({ deadRows: [row], nextCursor: null }))
    app.get('/dead-rows/:database/:transport/:id', () => ({
      ...row,
      payload: { orderId: 'order-1' },
      waitingBehind: 3,
      waitsFor: null,
      headers: { ce_type: 'order.placed.v1' },
    }))
    app.route({
      method: 'POST',
      url: '/dead-rows/:database/:transport/:id/put-back',
      schema: {
        body: z.strictObject({
          payload: z.record(z.string(), z.unknown()).optional(),
          ...onRecord,
        }),
      },
      handler: () => ({ outcome: 'put-back', followers: 3 }),
    })
    app.route({
      method: 'POST',
      url: '/dead-rows/:database/:transport/:id/discard',
      schema: { body: z.strictObject(onRecord) },
      handler: () => ({ outcome: 'discarded', followers: 2 }),
    })
  })

describe('dead outbox rows, against a server that answers as outbox-relay is specified to', () => {
  it('lists and shows them', async () => {
    await using relay = await serveSpecifiedRelay()
    const list = await edp(['outbox', 'dead', '--database', 'orders', '--url', relay.url])
    expect(list.out).toMatch(/orders\/kafka\/17 +dead .* message-too-large: too large/)
    const shown = await edp(['outbox', 'show', 'orders/kafka/17', '--url', relay.url])
    expect(shown.out).toContain('"orderId": "order-1"')
  })

  it('puts a row back, as it was or repaired', async () => {
    await using relay = await serveSpecifiedRelay()
    const words = ['outbox', 'put-back', 'orders/kafka/17', '--why', 'w', '--url', relay.url]
    await edp(words)
    await edp([...words, '--payload', '{"orderId":"order-1"}'])
    await edp([...words, '--file', '-'], { input: '{"orderId":"order-2"}' })
    expect(relay.asked.map(({ body }) => body)).toEqual([
      { by: 'ada', why: 'w' },
      { payload: { orderId: 'order-1' }, by: 'ada', why: 'w' },
      { payload: { orderId: 'order-2' }, by: 'ada', why: 'w' },
    ])
    expect(relay.asked[0]?.url).toBe('/dead-rows/orders/kafka/17/put-back')
  })

  it('sends no payload that is not JSON', async () => {
    await using relay = await serveSpecifiedRelay()
    const words = ['outbox', 'put-back', 'orders/kafka/17', '--payload', '{', '--why', 'w']
    const { code, err } = await edp([...words, '--url', relay.url])
    expect(code).toBe(1)
    expect(err).toContain('the payload is not JSON')
    expect(relay.asked).toEqual([])
  })

  it('gives a row up', async () => {
    await using relay = await serveSpecifiedRelay()
    const words = ['outbox', 'discard', 'orders/kafka/17', '--why', 'w', '--url', relay.url]
    expect((await edp(words)).code).toBe(0)
  })

  it('refuses what names no row', async () => {
    const { code, err } = await edp(['outbox', 'discard', '17', '--why', 'w'])
    expect(code).toBe(2)
    expect(err).toContain('expected DATABASE/TRANSPORT/ID such as orders/kafka/17, found 17')
  })
})

describe('payments, against a server that answers as payment-service is specified to', () => {
  it('makes a refund that failed for good due again', async () => {
    await using payments = await serve((app) => {
      app.route({
        method: 'POST',
        url: '/payments/:id/retry',
        schema: { body: z.strictObject(onRecord) },
        handler: (_request, reply) => reply.code(202).send({}),
      })
    })
    const words = ['payments', 'retry', 'order-1', '--why', 'bank mended', '--url', payments.url]
    const { code, out } = await edp(words)
    expect([code, out]).toEqual([0, 'the refund of order-1 is due again\n'])
  })

  it('shows which parts of a request were refused', async () => {
    await using payments = await serve((app) => {
      app.get('/payments', () => {
        throw problem(400, 'invalid-request', 'The request does not fit the schema.', {
          errors: [{ path: 'query.orderId', message: 'expected a UUID of version 7' }],
        })
      })
    })
    const { code, err } = await edp(['payments', 'list', '--order', 'x', '--url', payments.url])
    expect(code).toBe(1)
    expect(err).toBe(
      'edp: Bad Request (400): The request does not fit the schema.\n  query.orderId: expected a UUID of version 7\n',
    )
  })
})

describe('a service that does not answer', () => {
  it('is named with its address, and how to name another', async () => {
    const { code, err } = await edp(['alerts', 'list', '--url', 'http://127.0.0.1:9'])
    expect(code).toBe(1)
    expect(err).toMatch(/dlq-alerter does not answer at http:\/\/127\.0\.0\.1:9: .+/)
    expect(err).toContain('EDP_DLQ_ALERTER_URL')
  })

  it.each(['localhost:7105', 'nonsense', 'ftp://x'])('at %s is wrong use', async (url) => {
    const { code, err } = await edp(['alerts', 'list', '--url', url])
    expect(code).toBe(2)
    expect(err).toContain(`edp: --url: expected an http:// or https:// URL, found ${url}\n`)
  })

  it.each([
    [['orders', 'place', 'cup', '--customer', 'ada'], 'EDP_ORDER_SERVICE_URL'],
    [['stack', 'status'], 'EDP_ORDER_SERVICE_URL'],
  ])('%j with a setting that is no URL is wrong use', async (words, setting) => {
    const { code, out, err } = await edp(words, { env: { [setting]: 'foo' } })
    expect([code, out]).toEqual([2, ''])
    expect(err).toMatch(`edp: ${setting}: expected an http:// or https:// URL, found foo\n`)
  })
})
