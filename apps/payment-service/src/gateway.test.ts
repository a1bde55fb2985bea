import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from 'vitest'
import { request } from './domain/payment.ts'
import { createGateway, type Gateway } from './gateway.ts'

const cause = {
  messageId: 'm-1',
  coordination: 'choreographed',
  traceparent: undefined,
  attempt: undefined,
  priority: 'standard',
} as const
const terms = { orderId: 'order-1', amountMinor: 1299, currency: 'EUR', paymentRef: 'tok_ok' }
const payment = request({ ...terms, cause })

const captured = '{"status":"captured","chargeId":"ch_1","amountMinor":1299,"currency":"EUR"}'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

// Longer than a busy machine takes to connect and to answer.
const patientMs = 5000

async function gatewayThat(
  answer: Answer,
  { path = '', timeoutMs = patientMs } = {},
): Promise<Gateway> {
  const server = createServer((incoming, response) => void answer(incoming, response)).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = `http://127.0.0.1:${address.port}${path}`
  const gateway = createGateway({ url, timeoutMs, connectionsMax: 4 })
  closing.push(() => gateway.close())
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return gateway
}

function reply(status: number, body: string, headers: Record<string, string> = {}): Answer {
  return (_request, response) => response.writeHead(status, headers).end(body)
}

describe('a charge', () => {
  test('sends the terms under the key of the order, below the path of the gateway', async () => {
    let seen = {}
    const gateway = await gatewayThat(
      async (incoming, response) => {
        let body = ''
        for await (const chunk of incoming) body += String(chunk)
        const { method, url, headers } = incoming
        seen = { method, url, key: headers['idempotency-key'], body: JSON.parse(body) }
        reply(201, captured)(incoming, response)
      },
      { path: '/v1/' },
    )
    expect(await gateway.charge(payment)).toEqual({ kind: 'captured', chargeId: 'ch_1' })
    expect(seen).toEqual({
      method: 'POST',
      url: '/v1/charges',
      key: 'order-1/charge/do',
      body: { amountMinor: 1299, currency: 'EUR', token: 'tok_ok' },
    })
  })

  test('is declined by a 402 alone', async () => {
    const gateway = await gatewayThat(reply(402, '{"code":"card_declined"}'))
    expect(await gateway.charge(payment)).toEqual({ kind: 'declined', code: 'card_declined' })
  })

  test.each([
    [400, '{"code":"card_declined"}'],
    [401, '{}'],
    [404, '{}'],
    [409, '{}'],
    [422, '{}'],
    [402, 'Payment Required'],
    [201, 'not JSON'],
    [200, captured],
    [201, captured.replace('1299', '12990')],
    [201, captured.replace('EUR', 'USD')],
    [201, captured.replace('ch_1', String.raw`ch\u0000`)],
    [201, '{"status":"captured","chargeId":"ch_1"}'],
    [402, String.raw`{"code":"a\u0000b"}`],
    [429, '{}'],
    [500, '{}'],
    [503, '{}'],
  ])('answered with %i %s has an unknown outcome', async (status, body) => {
    const gateway = await gatewayThat(reply(status, body))
    expect(await gateway.charge(payment)).toEqual({
      kind: 'unknown',
      reason: `http-${status}`,
    })
  })

  test('keeps how long the gateway asked to wait', async () => {
    const gateway = await gatewayThat(reply(503, '{}', { 'retry-after': '3' }))
    expect(await gateway.charge(payment)).toMatchObject({ kind: 'unknown', retryAfterMs: 3000 })
  })

  test('without an answer in time has an unknown outcome', async () => {
    const gateway = await gatewayThat(() => undefined, { timeoutMs: 200 })
    expect(await gateway.charge(payment)).toMatchObject({ kind: 'unknown', reason: 'timeout' })
  })

  test('whose connection is cut after it was sent has an unknown outcome', async () => {
    const gateway = await gatewayThat((incoming) => incoming.socket.destroy())
    expect(await gateway.charge(payment)).toMatchObject({ kind: 'unknown', reason: 'connection' })
  })

  test('that finds nobody listening was not sent', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    server.close()
    await once(server, 'close')
    await once(connect(address.port, '127.0.0.1'), 'error')
    const url = `http://127.0.0.1:${address.port}`
    const gateway = createGateway({ url, timeoutMs: patientMs, connectionsMax: 4 })
    closing.push(() => gateway.close())
    expect(await gateway.charge(payment)).toEqual({ kind: 'unreachable', reason: 'ECONNREFUSED' })
  })
})

describe('a void', () => {
  test.each([
    [200, '{"status":"voided","refundedMinor":0}', { kind: 'voided' }],
    [200, '{"status":"refunded","refundedMinor":1299}', { kind: 'refunded', refundedMinor: 1299 }],
    [409, '{}', { kind: 'refund-refused' }],
    [200, '{"status":"refunded","refundedMinor":1298}', { kind: 'unknown', reason: 'http-200' }],
    [200, '{"status":"refunded","refundedMinor":1300}', { kind: 'unknown', reason: 'http-200' }],
    [200, '{"status":"gone"}', { kind: 'unknown', reason: 'http-200' }],
    [404, '{}', { kind: 'unknown', reason: 'http-404' }],
    [500, '{}', { kind: 'unknown', reason: 'http-500' }],
  ])('answered with %i %s', async (status, body, expected) => {
    let url: string | undefined
    const gateway = await gatewayThat((incoming, response) => {
      url = incoming.url
      reply(status, body)(incoming, response)
    })
    expect(await gateway.void(payment)).toEqual(expected)
    expect(url).toBe('/charges/order-1%2Fcharge%2Fdo/void')
  })
})
