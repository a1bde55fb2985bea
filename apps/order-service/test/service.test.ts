import { topics } from '@edp/event-schemas'
import { createKafkaPublisher, declareTopology, deleteTopology, ensureTopics } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { createLogger } from '@edp/runtime'
import { stack, type TestDatabase, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cupAndPots, events, inNamespace } from './given.ts'
import { get, placeOne, runService, testDatabase } from './running.ts'

// The whole service on a real Postgres and a real Kafka, with the participants played by the test.

const namespace = uniqueNamespace()
const { kafkaBrokers, rabbitmqUrl } = stack()
const settings = {
  KAFKA_BROKERS: kafkaBrokers.join(','),
  RABBITMQ_URL: rabbitmqUrl,
  MESSAGING_NAMESPACE: namespace,
  DEADLINE_POLL_INTERVAL_MS: '50',
}

let database: TestDatabase
let service: Awaited<ReturnType<typeof runService>>

const logger = createLogger('participants', 'silent')
const participants = createKafkaPublisher({ brokers: kafkaBrokers, clientId: 'test', logger })

beforeAll(async () => {
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics })
  await declareTopology({ url: rabbitmqUrl, namespace })
  afterAll(() => deleteTopology({ url: rabbitmqUrl, namespace }))
  database = await testDatabase()
  service = await runService(database, settings)
  await participants.start()
  afterAll(() => participants.stop())
  await waitFor(() => service.health.readiness().status === 'ok', {
    message: 'the service consumes',
    timeoutMs: 30_000,
  })
})

test('an order that is paid is confirmed, and its timeline shows every event', async () => {
  const orderId = await placeOne(service.url, cupAndPots)
  await publish([events.reserved, events.captured, events.shipped].map((make) => make(orderId)))
  // Two topics: which of them is read first is open, so only the end is the same.
  await waitFor(() => get(service.url, `/orders/${orderId}/timeline`), {
    until: ({ entries }) => entries.length === 5,
    message: 'all events are noted',
  })
  const order = await get(service.url, `/orders/${orderId}`)
  expect(order).toMatchObject({ status: 'confirmed', cancelReason: null })
  expect(Date.parse(order.endedAt)).toBeGreaterThanOrEqual(Date.parse(order.placedAt))
})

test('a hundred orders end as their participants say, and each exactly once', async () => {
  const orderIds = await Promise.all(
    Array.from({ length: 100 }, () => placeOne(service.url, cupAndPots)),
  )
  const paid = orderIds.filter((_, index) => index % 2 === 0)
  const refused = orderIds.filter((_, index) => index % 2 === 1)
  const all = [
    ...paid.map((orderId) => events.captured(orderId)),
    ...refused.map((orderId) => events.rejected(orderId)),
  ]
  // The broker may deliver everything twice.
  await publish([...all, ...all])
  await waitForStatus(paid, 'confirmed')
  await waitForStatus(refused, 'cancelling')
  await publish(refused.map((orderId) => events.released(orderId)))
  await waitForStatus(refused, 'cancelled')
  const sent = await database.query(
    `select type, count(*)::int as n from outbox where key = any($1) group by type order by type`,
    [orderIds],
  )
  expect(sent).toEqual([
    { type: 'order.cancelled.v1', n: 50 },
    { type: 'order.cancelling.v1', n: 50 },
    { type: 'order.confirmed.v1', n: 50 },
    { type: 'order.placed.v1', n: 100 },
  ])
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  expect(metrics).toMatch(/^edp_orders_ended_total\{result="confirmed"\} \d+$/m)
  expect(metrics).toMatch(/^edp_order_seconds_count\{result="cancelled"\} \d+$/m)
})

test('an order whose time is over is given up by the service itself', async () => {
  const hasty = await runService(database, { ...settings, ORDER_DEADLINE_MS: '1' })
  const orderId = await placeOne(hasty.url, cupAndPots)
  await waitForStatus([orderId], 'cancelling')
  expect((await get(hasty.url, `/orders/${orderId}`)).cancelReason).toBe('deadline-passed')
  await hasty.stop()
})

test('a second process takes its share, leaves again, and no event is lost or applied twice', async () => {
  const orderIds = await Promise.all(
    Array.from({ length: 60 }, () => placeOne(service.url, cupAndPots)),
  )
  const second = await runService(database, settings)
  await publish(orderIds.slice(0, 30).map((orderId) => events.captured(orderId)))
  await second.stop()
  await publish(orderIds.slice(30).map((orderId) => events.captured(orderId)))
  await waitForStatus(orderIds, 'confirmed')
  const sent = await database.query(
    `select key from outbox where key = any($1) and type = 'order.confirmed.v1'`,
    [orderIds],
  )
  expect(sent).toHaveLength(60)
  expect(service.faults).toEqual([])
})

async function publish(rows: readonly OutboxRow[]): Promise<void> {
  const outcome = await participants.publish(rows.map((row) => inNamespace(row, namespace)))
  expect(outcome.filter(Boolean)).toEqual([])
}

async function waitForStatus(orderIds: readonly string[], status: string): Promise<void> {
  await waitFor(
    () =>
      database.query('select order_id from orders where order_id = any($1) and status <> $2', [
        orderIds,
        status,
      ]),
    { until: (others) => others.length === 0, message: `all are ${status}`, timeoutMs: 30_000 },
  )
}
