import { once } from 'node:events'
import { topics } from '@edp/event-schemas'
import { createKafkaPublisher, ensureTopics } from '@edp/messaging'
import { createLogger, declaredStatements } from '@edp/runtime'
import { explainPlans, stack, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AppProcess, spawnApp, startApp } from './processes.ts'
import { amountMinor, cancelling, createWorld, newOrderId, reserved, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

describe('the service as a process', () => {
  let service: AppProcess
  const logger = createLogger('test', 'silent')
  const publisher = createKafkaPublisher({
    brokers: stack().kafkaBrokers,
    clientId: 'test',
    logger,
  })
  beforeAll(async () => {
    const brokers = stack().kafkaBrokers
    await ensureTopics({ brokers, namespace: world.namespace, topics })
    await publisher.start()
    service = await startApp('payment-service', world.env())
  })
  afterAll(async () => {
    await service.end('SIGKILL')
    await publisher.stop()
  })

  async function publish(...messages: ReturnType<typeof reserved>[]): Promise<void> {
    const rows = messages.map(({ id: messageId, destination, key, type, payload, headers }, id) => {
      const topic = destination.replace(/^test\./, `${world.namespace}.`)
      return { id, messageId, destination: topic, key, type, payload, headers }
    })
    const outcomes = await publisher.publish(rows)
    expect(outcomes.filter(Boolean)).toEqual([])
  }

  test('charges what Kafka brings, and undoes it', async () => {
    const orderId = newOrderId()
    await publish(reserved(orderId, 'tok_ok'))
    await world.untilSent(orderId, 'payment.captured.v1')
    await publish(cancelling(orderId))
    const events = await world.untilSent(orderId, 'payment.refunded.v1')
    expect(events.at(-1)?.body).toEqual({ orderId, amountMinor, currency: 'EUR' })

    const answer = await fetch(`${service.url}/payments?orderId=${orderId}`)
    const charge = await world.charge(orderId)
    expect(await answer.json()).toEqual({
      payments: [
        {
          orderId,
          status: 'refunded',
          amountMinor,
          currency: 'EUR',
          refundedMinor: amountMinor,
          chargeId: charge?.['chargeId'],
          declineCode: null,
          attempts: 0,
          dueAt: null,
        },
      ],
      nextCursor: null,
    })
  })

  test('pages its payments and finds those in one status', async () => {
    const orderIds = Array.from({ length: 5 }, newOrderId).toSorted()
    await publish(...orderIds.map((orderId) => reserved(orderId, 'tok_declined')))
    for (const orderId of orderIds) await world.untilSent(orderId, 'payment.declined.v1')
    type Page = { payments: { orderId: string }[]; nextCursor: string | null }
    const seen: string[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query = `status=declined&limit=2${cursor && `&cursor=${cursor}`}`
      const page = (await (await fetch(`${service.url}/payments?${query}`)).json()) as Page
      seen.push(...page.payments.map((payment) => payment.orderId))
      cursor = page.nextCursor
    }
    expect(seen).toEqual(orderIds)
  })

  test('names every problem of a query', async () => {
    const answer = await fetch(`${service.url}/payments?orderId=7&status=lost&limit=0&page=2`)
    expect(answer.status).toBe(400)
    const problem = (await answer.json()) as { errors: { path: string }[] }
    expect(problem.errors.map((error) => error.path).toSorted()).toEqual([
      'query.limit',
      'query.orderId',
      'query.page',
      'query.status',
    ])
  })

  test('is ready without its gateway and says so', async () => {
    await world.sandbox.end('SIGKILL')
    await publish(reserved(newOrderId(), 'tok_ok'))
    const ready = await waitFor(
      async () => fetch(`${service.url}/health/ready`).then((r) => r.text()),
      {
        message: 'the gateway is reported as away',
        until: (text) => text.includes('the gateway cannot be reached'),
      },
    )
    expect(JSON.parse(ready)).toMatchObject({ ready: true, status: 'degraded' })
    await world.restartSandbox('SIGKILL')
  })

  test('measures its calls and what is due', async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text()
    for (const name of [
      'edp_payment_gateway_call_seconds_count{call="charge",outcome="captured"}',
      'edp_payment_outcomes_total{outcome="captured"}',
      'edp_payment_due_lag_seconds',
    ]) {
      expect(metrics).toContain(name)
    }
  })

  test('ends with 0 at SIGTERM', async () => {
    expect(await service.end('SIGTERM')).toBe(0)
  })
})

test('a bad environment is one message with every problem, and exit 1', async () => {
  const child = spawnApp('payment-service', {
    HTTP_PORT: 'seven',
    PAYMENT_GATEWAY_URL: 'gateway',
    CALL_ATTEMPTS_MAX: '0',
  })
  let stderr = ''
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  await once(child, 'close')
  expect(child.exitCode).toBe(1)
  for (const name of [
    'HTTP_PORT',
    'DATABASE_URL',
    'KAFKA_BROKERS',
    'PAYMENT_GATEWAY_URL',
    'CALL_ATTEMPTS_MAX',
  ]) {
    expect(stderr).toContain(name)
  }
})

test('every statement looks up by its whole key on empty tables', async () => {
  const names = /^(payments|step_ledger|inbox_claim|outbox_insert)/
  const statements = declaredStatements().filter(({ name }) => names.test(name))
  expect(statements.map(({ name }) => name).toSorted()).toEqual(
    expect.arrayContaining(['payments_claim_due', 'payments_lock', 'payments_save']),
  )
  const empty = await createWorld()
  const { url } = empty.db
  const [claim, rest] = [
    statements.filter(({ name }) => name === 'payments_claim_due'),
    statements.filter(({ name }) => name !== 'payments_claim_due'),
  ]
  const problems = await explainPlans(url, rest)
  // It reads the table twice: by what is due, and each of those by its key.
  const claimPlan = await empty.db.query(`explain (generic_plan) ${claim[0]?.sql}`)
  await empty.close()
  expect(problems).toEqual([])
  const plan = claimPlan.map((row) => String(row['QUERY PLAN'])).join('\n')
  expect(plan).toContain('using payments_due')
  expect(plan).toContain('using payments_pkey')
  expect(plan).not.toContain('Seq Scan')
})
