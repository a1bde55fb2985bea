import { topics } from '@edp/event-schemas'
import { declareTopology, deleteTopics, deleteTopology, ensureTopics } from '@edp/messaging'
import { type Database, openDatabase } from '@edp/runtime'
import { createSagaRegistry, registerSaga, replayAll } from '@edp/saga/postgres'
import {
  killApps,
  seededRandom,
  stack,
  startApp,
  type TestDatabase,
  uniqueNamespace,
  waitFor,
} from '@edp/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { orderFulfilment } from '../src/domain/fulfilment.ts'
import { fulfilmentContext, type OrderSagas, orderSagas } from '../src/sagas.ts'
import { cupAndPots } from './given.ts'
import { fulfilmentVersion } from './orchestrator.ts'
import { type Fate, playParticipants } from './participants.ts'
import { placeOne, runService, testDatabase } from './running.ts'

// The orchestrator on a real Postgres and a real RabbitMQ, with participants that are played by the rules of the real ledger.

const namespace = uniqueNamespace()
const { kafkaBrokers, rabbitmqUrl } = stack()
const settings = {
  KAFKA_BROKERS: kafkaBrokers.join(','),
  RABBITMQ_URL: rabbitmqUrl,
  MESSAGING_NAMESPACE: namespace,
  SAGA_POLL_INTERVAL_MS: '50',
}
const order = { ...cupAndPots, coordination: 'orchestrated' }

let owner: TestDatabase
let database: Database

beforeAll(async () => {
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics })
  await declareTopology({ url: rabbitmqUrl, namespace })
  owner = await testDatabase()
  database = openDatabase({ url: owner.serviceUrl, applicationName: 'test' })
  afterAll(async () => {
    await database.end()
    await deleteTopology({ url: rabbitmqUrl, namespace })
    await deleteTopics({ brokers: kafkaBrokers, namespace, topics })
  })
})

afterEach(killApps)

// Asked again after 200 ms, so that a lost answer does not hold a test up.
const impatient = registerSaga(
  {
    ...orderFulfilment,
    steps: orderFulfilment.steps.map((step) => impatiently(step)),
  },
  fulfilmentContext,
)
const sagas: OrderSagas = { registry: createSagaRegistry([impatient]), starts: impatient }

const fates = new Map<string, Fate>()
const fateOf = (orderId: string): Fate => fates.get(orderId) ?? 'ok'

describe('two processes, with answers that are lost and that come twice', () => {
  test('every order ends as its participants say, each effect once, and every log leads to its state', async () => {
    const random = seededRandom('lost answers')
    const participants = playParticipants({
      database: owner,
      rabbitmqUrl,
      namespace,
      fateOf,
      random,
    })
    const services = [
      await runService(owner, settings, sagas),
      await runService(owner, settings, sagas),
    ]
    const place = async (n: number): Promise<string> => {
      const url = services[n % 2]?.url ?? ''
      const orderId = await placeOne(url, order)
      const fate = random.pick(['ok', 'ok', 'out-of-stock', 'declined'] as const)
      fates.set(orderId, fate)
      if (random.below(5) === 0) await fetch(`${url}/orders/${orderId}/cancel`, { method: 'POST' })
      return orderId
    }
    const orderIds = await Promise.all(Array.from({ length: 80 }, (_, n) => place(n)))
    await ended(orderIds)
    // Before the services, so that they take what it has sent: the next process would die of it.
    await participants.stop()
    for (const orderId of orderIds) {
      const [row] = await owner.query('select status from orders where order_id = $1', [orderId])
      const effects = participants.effectsOn(orderId)
      expect(effects).toEqual(effectsOf(String(row?.['status']), effects))
    }
    const resent = await owner.query(`select 1 from saga_log where note = 'resent'`)
    expect(resent.length).toBeGreaterThan(0)
    expect(await replayAll(database, sagas.registry)).toEqual({ sagas: 80, problems: [] })
    for (const service of services) {
      expect(service.faults).toEqual([])
      await service.stop()
    }
  })
})

describe('a process that dies', () => {
  test.each([
    ['before the commit of an answer', 'pipeline.before-commit'],
    ['between commit and acknowledgement', 'pipeline.after-commit'],
  ])('%s leaves everything to the next one, once', async (_, point) => {
    const participants = playParticipants({ database: owner, rabbitmqUrl, namespace, fateOf })
    const doomed = await startApp('order-service', {
      ...environment(),
      FAULT_POINTS: `${point}=kill`,
    })
    const orderIds: string[] = []
    // It dies at the first answer: until then it takes orders.
    while (orderIds.length < 20) {
      const orderId = await placeOne(doomed.url, order).catch(() => undefined)
      if (orderId === undefined) break
      orderIds.push(orderId)
    }
    await doomed.ended
    expect(doomed.child.signalCode).toBe('SIGKILL')
    expect(orderIds.length).toBeGreaterThan(0)
    await silenceTimers()
    const next = await startApp('order-service', environment())
    await ended(orderIds)
    for (const orderId of orderIds) {
      expect(participants.effectsOn(orderId)).toEqual(['reserve done', 'charge done'])
    }
    const confirmed = await owner.query(
      `select key from outbox where type = 'order.confirmed.v1' and key = any($1)`,
      [orderIds],
    )
    expect(confirmed).toHaveLength(orderIds.length)
    expect((await replayAll(database, orderSagas.registry)).problems).toEqual([])
    await participants.stop()
    // In order, so that what it has handled does not come again: the next process would die of it.
    await next.end('SIGTERM')
  })
})

describe('an answer to a saga of a version that a process does not know', () => {
  test('is not acknowledged: it goes to a process that knows it', async () => {
    const knowing = await startApp('order-service', environment())
    const orderId = await placeOne(knowing.url, order)
    expect(await knowing.end('SIGTERM')).toBe(0)
    const v2 = fulfilmentVersion(2)
    const without = await runService(owner, settings, {
      registry: createSagaRegistry([v2]),
      starts: v2,
    })
    const participants = playParticipants({ database: owner, rabbitmqUrl, namespace, fateOf })
    await waitFor(() => without.health.readiness().checks['order-service.rabbitmq'], {
      until: (report) => report?.status === 'degraded' && (report.detail ?? '').includes('paused'),
      message: 'the consumer pauses at the answer',
      timeoutMs: 30_000,
    })
    await silenceTimers()
    expect(without.health.readiness().ready).toBe(false)
    await without.stop()
    expect(without.faults).toEqual([])
    await startApp('order-service', environment())
    await ended([orderId])
    expect(participants.effectsOn(orderId)).toEqual(['reserve done', 'charge done'])
    await participants.stop()
  })
})

/** What may have been done to an order that has ended so: all of it, or what was begun, undone in reverse order. */
function effectsOf(status: string, seen: readonly string[]): string[] {
  if (status === 'confirmed') return ['reserve done', 'charge done']
  const done = seen.filter((effect) => effect.endsWith(' done'))
  return [...done, ...done.map((effect) => effect.replace('done', 'undone')).toReversed()]
}

function impatiently<S extends (typeof orderFulfilment.steps)[number]>(step: S): S {
  return { ...step, policy: { ...step.policy, resendAfterMs: 200, resendAfterMaxMs: 400 } }
}

/** From now on nothing is asked again, so an answer that were lost would hold its order up. */
async function silenceTimers(): Promise<void> {
  await owner.query(`update saga set due_at = now() + interval '1 hour' where ended_at is null`)
}

function environment(): Record<string, string> {
  return { ...settings, DATABASE_URL: owner.serviceUrl }
}

async function ended(orderIds: readonly string[]): Promise<void> {
  await waitFor(
    () =>
      owner.query(
        `select o.order_id, o.status, s.status as saga, s.step from orders o join saga s on s.id = o.order_id
         where o.order_id = any($1) and o.ended_at is null`,
        [orderIds],
      ),
    { until: (open) => open.length === 0, message: 'all orders have ended', timeoutMs: 45_000 },
  )
}
