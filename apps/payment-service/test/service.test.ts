import { type ComposedMessage, topics } from '@edp/event-schemas'
import {
  createKafkaPublisher,
  createRabbitPublisher,
  declareTopology,
  deleteTopology,
  ensureTopics,
} from '@edp/messaging'
import { createLogger, declaredStatements } from '@edp/runtime'
import { type AppProcess, explainPlans, spawnApp, stack, startApp, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  amountMinor,
  cancelling,
  capture,
  createWorld,
  newOrderId,
  refund,
  reserved,
  type World,
} from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

describe('the service as a process', () => {
  let service: AppProcess
  const logger = createLogger('test', 'silent')
  const { kafkaBrokers: brokers, rabbitmqUrl: url } = stack()
  const publishers = {
    kafka: createKafkaPublisher({ brokers, clientId: 'test', logger }),
    rabbitmq: createRabbitPublisher({ url, logger }),
  }
  beforeAll(async () => {
    const { namespace } = world
    await ensureTopics({ brokers, namespace, topics })
    await declareTopology({ url, namespace })
    await publishers.kafka.start()
    service = await startApp('payment-service', world.env())
  })
  afterAll(async () => {
    await service.end('SIGKILL')
    await publishers.kafka.stop()
    await publishers.rabbitmq.stop()
    await deleteTopology({ url, namespace: world.namespace })
  })

  async function publish(...messages: ComposedMessage[]): Promise<void> {
    for (const transport of ['kafka', 'rabbitmq'] as const) {
      const rows = messages
        .filter((message) => message.transport === transport)
        .map(({ id: messageId, destination, key, type, payload, headers }, id) => {
          const to = destination.replaceAll(/(^|\/)test\./g, `$1${world.namespace}.`)
          return { id, messageId, destination: to, key, type, payload, headers }
        })
      const outcomes = await publishers[transport].publish(rows)
      expect(outcomes.filter(Boolean)).toEqual([])
    }
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

  test('charges what RabbitMQ brings, and undoes it, however often it is asked', async () => {
    const orderId = newOrderId()
    const command = capture(orderId, 'tok_ok', 1)
    await publish(command, command, capture(orderId, 'tok_ok', 2))
    await world.untilSent(orderId, 'payment.capture.replied.v1')
    const undo = refund(orderId, 1)
    await publish(undo, command, undo)
    await world.untilSent(orderId, 'payment.refund.replied.v1')
    await publish(refund(orderId, 2), capture(orderId, 'tok_ok', 3))
    const events = await waitFor(() => world.sent(orderId), {
      message: 'the last attempts are answered',
      until: (sent) =>
        [2, 3].every((attempt) => sent.some(({ body }) => body['attempt'] === attempt)),
    })
    const facts = events.filter(({ type }) => !type.includes('replied'))
    expect(facts.map(({ type }) => type)).toEqual(['payment.captured.v1', 'payment.refunded.v1'])
    for (const { body, type } of events.filter((event) => !facts.includes(event))) {
      expect([type, body['outcome']]).toEqual([type, 'ok'])
    }
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
  })

  test('killed with commands in hand, it charges each of them once when it is back', async () => {
    const orders = Array.from({ length: 150 }, newOrderId)
    const doomed = await startApp(
      'payment-service',
      world.env({ FAULT_POINTS: 'pipeline.before-commit=kill@2' }),
    )
    // Both consume the queue: the one that dies takes what it has prefetched with it.
    let attempt = 0
    const askAgain = async (): Promise<void> => {
      attempt += 1
      await publish(...orders.map((orderId) => capture(orderId, 'tok_ok', attempt)))
    }
    await waitFor(
      async () => {
        await askAgain()
        return doomed.child.signalCode
      },
      { message: 'it has died' },
    )
    expect(doomed.child.signalCode).toBe('SIGKILL')
    for (const orderId of orders) {
      const events = await world.untilSent(orderId, 'payment.capture.replied.v1')
      expect(events.filter(({ type }) => type === 'payment.captured.v1')).toHaveLength(1)
      expect(await world.charge(orderId)).toMatchObject({ status: 'captured', amountMinor })
    }
    const open = await world.db.query('select 1 from payments where due_at is not null')
    expect(open).toEqual([])
  })

  test('says of each of its brokers how it goes', async () => {
    const names = ['payment-service.kafka', 'payment-service.rabbitmq']
    type Readiness = { ready: boolean; checks: Record<string, { status: string } | undefined> }
    // What consumed beside it has died a moment ago, and its partitions are given away.
    const { ready } = await waitFor(
      async () => (await (await fetch(`${service.url}/health/ready`)).json()) as Readiness,
      {
        message: 'its brokers are well',
        until: ({ checks }) => names.every((name) => checks[name]?.status === 'ok'),
      },
    )
    expect(ready).toBe(true)
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
    const answer = await fetch(`${service.url}/payments?orderId=7&status=lost&limit=0x10&page=2`)
    expect(answer.status).toBe(400)
    const problem = (await answer.json()) as { errors: { path: string }[] }
    expect(problem.errors.map((error) => error.path).toSorted()).toEqual([
      'query.limit',
      'query.orderId',
      'query.page',
      'query.status',
    ])
  })

  test('has a failed refund tried again by a person, and nothing else', async () => {
    const [failing, captured] = [newOrderId(), newOrderId()]
    const retry = (orderId: string, body: unknown = { by: 'ada', why: 'the card is back' }) =>
      fetch(`${service.url}/payments/${orderId}/retry`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    await publish(reserved(failing, 'tok_refund_fails'), reserved(captured, 'tok_ok'))
    for (const orderId of [failing, captured]) {
      await world.untilSent(orderId, 'payment.captured.v1')
    }
    await publish(cancelling(failing))
    await waitFor(() => world.said(failing), {
      message: 'its letter',
      until: (said) => said.length > 0,
    })
    const answers = [await retry(newOrderId()), await retry(captured), await retry(failing, {})]
    const problems = await Promise.all(answers.map((answer) => answer.json()))
    expect(answers.map(({ status }) => status)).toEqual([404, 409, 400])
    expect(problems).toMatchObject([
      { type: 'urn:problem:unknown-payment' },
      { type: 'urn:problem:nothing-failed' },
      {},
    ])
    expect(answers[0]?.headers.get('content-type')).toContain('application/problem+json')
    await world.gateway(`/charges/${encodeURIComponent(`${failing}/charge/do`)}/repair`, 'POST')
    const retried = await retry(failing)
    // It may have healed by itself in this moment.
    expect([202, 409]).toContain(retried.status)
    await world.untilSent(failing, 'payment.refunded.v1')
    expect((await world.said(failing)).at(-1)?.body).toMatchObject({ outcome: 'applied' })
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
  const doomed = spawnApp('payment-service', {
    HTTP_PORT: 'seven',
    PAYMENT_GATEWAY_URL: 'gateway',
    CALL_ATTEMPTS_MAX: '0',
  })
  expect(await doomed.ended).toBe(1)
  for (const name of [
    'HTTP_PORT',
    'DATABASE_URL',
    'KAFKA_BROKERS',
    'RABBITMQ_URL',
    'PAYMENT_GATEWAY_URL',
    'CALL_ATTEMPTS_MAX',
  ]) {
    expect(doomed.output()).toContain(name)
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
