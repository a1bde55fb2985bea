import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type AppProcess, startApp, waitFor } from '@edp/testkit'
import {
  amountMinor,
  cancelling,
  capture,
  createWorld,
  newOrderId,
  reserved,
  type World,
} from './world.ts'

let world: World
const processes: AppProcess[] = []

beforeAll(async () => {
  // A slow charge takes so long that two processes meet over it, on a busy machine too.
  world = await createWorld(2000)
})
afterAll(() => world.close())
afterEach(async () => {
  for (const one of processes.splice(0)) await one.end('SIGKILL')
  await world.stopWork()
})

/** The service as a process. Its brokers are away, so that all it does is its due work. */
async function startService(overrides: Record<string, string> = {}): Promise<AppProcess> {
  const away = { KAFKA_BROKERS: '127.0.0.1:1', RABBITMQ_URL: 'amqp://127.0.0.1:1' }
  const settings = { ...away, LOG_LEVEL: 'info', ...overrides }
  const service = await startApp('payment-service', world.env(settings))
  processes.push(service)
  return service
}

/** How often the gateway gave an answer, by its own count. */
async function gatewayCount(operation: string, result: string): Promise<number> {
  const metrics = await (await world.gateway('/metrics')).text()
  const line = `edp_gateway_operations_total{operation="${operation}",result="${result}"} `
  const at = metrics.indexOf(line)
  return at === -1 ? 0 : Number.parseInt(metrics.slice(at + line.length), 10)
}

async function types(orderId: string): Promise<string[]> {
  return (await world.sent(orderId)).map((event) => event.type)
}

describe('a process that is killed', () => {
  test('between the call and its record leaves one charge, which another process tells once', async () => {
    const orderId = newOrderId()
    await world.deliverOnly(reserved(orderId, 'tok_ok'))
    const killed = await startService({ FAULT_POINTS: 'payment.after-call=kill' })
    await killed.ended
    expect(killed.child.signalCode).toBe('SIGKILL')
    const charge = await world.charge(orderId)
    expect(charge).toMatchObject({ status: 'captured' })
    expect(await types(orderId)).toEqual([])

    const work = await world.startWork()
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.stop()
    expect(await types(orderId)).toEqual(['payment.captured.v1'])
    expect(await world.charge(orderId)).toEqual(charge)
  })

  test('between the call of a command and its record leaves one charge, which another process answers', async () => {
    const orderId = newOrderId()
    await world.deliverOnly(capture(orderId, 'tok_ok', 7))
    const killed = await startService({ FAULT_POINTS: 'payment.after-call=kill' })
    await killed.ended
    expect(await world.charge(orderId)).toMatchObject({ status: 'captured' })
    const work = await world.startWork()
    await world.untilSent(orderId, 'payment.capture.replied.v1')
    await work.stop()
    expect(await world.sent(orderId)).toMatchObject([
      { type: 'payment.captured.v1', headers: { ce_coordination: 'orchestrated' } },
      { type: 'payment.capture.replied.v1', body: { outcome: 'ok', attempt: 7 } },
    ])
  })

  test('before the call leaves nothing charged, and another process charges', async () => {
    const orderId = newOrderId()
    await world.deliverOnly(reserved(orderId, 'tok_ok'))
    const killed = await startService({ FAULT_POINTS: 'payment.before-call=kill' })
    await killed.ended
    expect(await world.charge(orderId)).toBeUndefined()
    const work = await world.startWork()
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.stop()
    expect(await types(orderId)).toEqual(['payment.captured.v1'])
  })

  test('in the undo, after the void, leaves one refund, which another process tells once', async () => {
    const orderId = newOrderId()
    const work = await world.startWork()
    await work.deliver(reserved(orderId, 'tok_ok'))
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.stop()
    await world.deliverOnly(cancelling(orderId))
    const killed = await startService({ FAULT_POINTS: 'payment.after-call=kill' })
    await killed.ended
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
    const next = await world.startWork()
    await world.untilSent(orderId, 'payment.refunded.v1')
    await next.stop()
    expect(await types(orderId)).toEqual(['payment.captured.v1', 'payment.refunded.v1'])
  })
})

test('a caller stopped between its check and its call cannot charge what another process has voided', async () => {
  const orderId = newOrderId()
  await world.deliverOnly(reserved(orderId, 'tok_ok'))
  // It has claimed the payment, found it to be charged, and is just about to call.
  const pauseMs = 5000
  const stopped = await startService({
    FAULT_POINTS: `payment.before-call=pause:${pauseMs}@1`,
    CLAIM_LEASE_MS: '60000',
  })
  await waitFor(
    () => world.db.query("select 1 from payments where due_at > now() + interval '30 s'"),
    {
      message: 'the payment is claimed by the process',
      until: (rows) => rows.length === 1,
    },
  )
  stopped.child.kill('SIGSTOP')

  const work = await world.startWork()
  await work.deliver(cancelling(orderId))
  const events = await world.untilSent(orderId, 'payment.refunded.v1')
  expect(events.map((event) => event.body)).toEqual([{ orderId, amountMinor: 0, currency: 'EUR' }])
  expect(await world.payment(orderId)).toMatchObject({ status: 'void' })
  const before = await gatewayCount('charge', 'declined-again')

  stopped.child.kill('SIGCONT')
  await waitFor(() => gatewayCount('charge', 'declined-again'), {
    message: 'the late charge reaches the gateway',
    until: (count) => count === before + 1,
  })
  expect(await stopped.end('SIGTERM')).toBe(0)
  expect(await world.charge(orderId)).toMatchObject({ status: 'voided', amountMinor: 0 })
  expect(await world.payment(orderId)).toMatchObject({ status: 'void' })
  expect(await types(orderId)).toEqual(['payment.refunded.v1'])
})

test('two processes that take the same payments at once charge each of them once and tell it once', async () => {
  const orders = Array.from({ length: 40 }, (_, index) => ({
    orderId: newOrderId(),
    token: index % 4 === 0 ? 'tok_slow' : 'tok_ok',
  }))
  const again = await gatewayCount('charge', 'captured-again')
  // Leases that end before the gateway answers: both have the same payments in hand all the time.
  const hasty = { CLAIM_LEASE_MS: '1', DUE_POLL_INTERVAL_MS: '5', GATEWAY_TIMEOUT_MS: '10000' }
  await Promise.all([startService(hasty), startService(hasty)])
  await world.deliverOnly(...orders.map(({ orderId, token }) => reserved(orderId, token)))
  await waitFor(() => world.db.query('select 1 from payments where due_at is not null'), {
    message: 'no payment is open',
    timeoutMs: 30_000,
    until: (rows) => rows.length === 0,
  })
  for (const one of processes) expect(await one.end('SIGTERM')).toBe(0)
  expect(await gatewayCount('charge', 'captured-again')).toBeGreaterThan(again)
  for (const { orderId } of orders) {
    expect(await types(orderId)).toEqual(['payment.captured.v1'])
    expect(await world.charge(orderId)).toMatchObject({ status: 'captured' })
  }
})

test('a gateway that is away uses no attempts, holds up no consumer, and is used again when it is back', async () => {
  // An answer that comes late would be an attempt.
  const work = await world.startWork({ CALL_ATTEMPTS_MAX: '2', GATEWAY_TIMEOUT_MS: '10000' })
  const orders = Array.from({ length: 30 }, newOrderId)
  await world.sandbox.end('SIGKILL')
  await work.deliver(...orders.map((orderId) => reserved(orderId, 'tok_ok')))
  await waitFor(() => work.problems().join(), {
    message: 'the service says that the gateway is away',
    until: (problems) => problems.includes('payment-gateway is degraded'),
  })
  const late = newOrderId()
  await work.deliver(reserved(late, 'tok_ok'))
  expect(await world.payment(late)).toMatchObject({ status: 'requested', attempts: 0 })
  await world.restartSandbox('SIGKILL')
  for (const orderId of [...orders, late]) {
    await world.untilSent(orderId, 'payment.captured.v1')
    expect(await world.payment(orderId)).toMatchObject({ status: 'captured', attempts: 0 })
  }
  await waitFor(() => work.problems(), {
    message: 'the service is well again',
    until: (problems) => problems.length === 0,
  })
  await work.stop()
})

describe('a capture that fails for good', () => {
  async function passOn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request)
    const key = request.headers['idempotency-key']
    const passed = await fetch(world.sandbox.url + String(request.url), {
      method: 'POST',
      headers:
        key === undefined
          ? {}
          : { 'content-type': 'application/json', 'idempotency-key': String(key) },
      body: body === '' ? null : body,
    })
    const status = request.url === '/charges' ? 500 : passed.status
    response.writeHead(status).end(await passed.text())
  }

  /** Passes everything on to the gateway and answers charges with a 500 all the same. */
  async function brokenProxy(): Promise<{ url: string; close(): void }> {
    const server = createServer((request, response) => void passOn(request, response))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const close = (): void => {
      server.closeAllConnections()
      server.close()
    }
    return { url: `http://127.0.0.1:${address.port}`, close }
  }

  test('is undone, since it may have been charged, and then told as declined', async () => {
    const proxy = await brokenProxy()
    const orderId = newOrderId()
    const work = await world.startWork({ PAYMENT_GATEWAY_URL: proxy.url, CALL_ATTEMPTS_MAX: '3' })
    await work.deliver(reserved(orderId, 'tok_ok'))
    await world.untilSent(orderId, 'payment.declined.v1')
    // The undo of the order, which follows, has nothing left to give back.
    await work.deliver(cancelling(orderId, 'payment-declined'))
    await work.stop()
    proxy.close()
    expect(await world.sent(orderId)).toMatchObject([
      { type: 'payment.declined.v1', body: { orderId, code: 'gateway_failed' } },
      { type: 'payment.refunded.v1', body: { orderId, amountMinor: 0 } },
    ])
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
    expect(await world.payment(orderId)).toMatchObject({
      status: 'declined',
      decline_code: 'gateway_failed',
      refunded_minor: amountMinor,
    })
  })
})
