import { once } from 'node:events'
import { topics } from '@edp/event-schemas'
import {
  createKafkaPublisher,
  declareTopology,
  deleteTopology,
  ensureTopics,
  type IncomingMessage,
} from '@edp/messaging'
import { createLogger } from '@edp/runtime'
import { killApps, spawnApp, stack, startApp, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { confirmed, newOrderId, placed, refunded } from './given.ts'
import { type Inventory, openInventory } from './inventory.ts'

const namespace = uniqueNamespace()
const { kafkaBrokers, rabbitmqUrl } = stack()
const publisher = createKafkaPublisher({
  brokers: kafkaBrokers,
  clientId: 'inventory-test',
  logger: createLogger('inventory-test', 'error'),
})
let inventory: Inventory

beforeAll(async () => {
  inventory = await openInventory()
  await ensureTopics({ brokers: kafkaBrokers, namespace, topics })
  await declareTopology({ url: rabbitmqUrl, namespace })
  await publisher.start()
})

afterAll(async () => {
  killApps()
  await publisher.stop()
  await inventory.close()
  await deleteTopology({ url: rabbitmqUrl, namespace })
})

function startService(): ReturnType<typeof startApp> {
  return startApp('inventory-service', {
    DATABASE_URL: inventory.postgres.serviceUrl,
    KAFKA_BROKERS: kafkaBrokers.join(','),
    RABBITMQ_URL: rabbitmqUrl,
    MESSAGING_NAMESPACE: namespace,
  })
}

/** Publishes messages as the relay does; `key` puts them into the partitions of another order. */
async function publish(messages: readonly IncomingMessage[], key?: string): Promise<void> {
  const outcome = await publisher.publish(
    messages.map((message, index) => ({
      id: index + 1,
      messageId: message.headers['ce_id'] ?? '',
      destination: message.position.replace('test.', `${namespace}.`).replace('/0@0', ''),
      key: key ?? message.headers['ce_subject'] ?? '',
      type: message.headers['ce_type'] ?? '',
      payload: Buffer.from(message.body).toString(),
      headers: message.headers as Record<string, string>,
    })),
  )
  expect(outcome.filter((error) => error !== undefined)).toEqual([])
}

/** Waits until the service has handled what was published of these orders, up to the last copy. */
async function everythingIsHandled(orders: readonly string[]): Promise<void> {
  const last: string[] = []
  for (const key of orders) {
    const [onOrders, onPayments] = [newOrderId(), newOrderId()]
    await publish([placed(onOrders, { 'no-such-sku': 1 }), refunded(onPayments)], key)
    last.push(onOrders, onPayments)
  }
  await waitFor(
    async () =>
      (await Promise.all(last.map((id) => inventory.sent(id)))).every((sent) => sent.length),
    { message: 'what was published last is handled' },
  )
}

test('what comes twice over Kafka, also after a kill and a restart, has its effect once', async () => {
  await inventory.receive({ 'kafka-cup': 10 })
  const orders = Array.from({ length: 3 }, () => newOrderId())
  const [shipped = '', undone = '', undoneFirst = ''] = orders
  const messages = [
    placed(shipped, { 'kafka-cup': 2 }),
    placed(undone, { 'kafka-cup': 3 }),
    refunded(undoneFirst),
    confirmed(shipped, { 'kafka-cup': 2 }),
  ]
  const first = await startService()
  await publish([...messages.slice(0, 3), ...messages.slice(0, 3)])
  await waitFor(async () => (await inventory.sent(undoneFirst)).length, {
    message: 'the undo before its order is answered',
  })
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')

  const late = [refunded(undone), placed(undoneFirst, { 'kafka-cup': 1 })]
  await publish([...messages, ...late])
  await startService()
  await publish([...messages, ...late])
  await waitFor(
    async () => [
      await inventory.reservationOf(shipped),
      await inventory.reservationOf(undone),
      (await inventory.sent(undoneFirst)).length,
    ],
    {
      message: 'all orders have ended',
      until: (seen) => seen.join() === 'shipped,released,2',
      timeoutMs: 30_000,
    },
  )
  await everythingIsHandled(orders)

  expect(await inventory.stockOf('kafka-cup')).toEqual({ onHand: 8, reserved: 0 })
  const sent = await Promise.all(orders.map((id) => inventory.sent(id)))
  expect(sent.map((ofOrder) => ofOrder.map((message) => message.type))).toEqual([
    ['stock.reserved.v1', 'stock.shipped.v1'],
    ['stock.reserved.v1', 'stock.released.v1'],
    ['stock.released.v1', 'stock.rejected.v1'],
  ])
})

test('SIGTERM ends it in order, with exit code 0', async () => {
  const { child, url } = await startService()
  expect(await (await fetch(`${url}/metrics`)).text()).toContain('process_cpu_seconds_total')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('a bad environment is refused with every problem in one message and exit code 1', async () => {
  const doomed = spawnApp('inventory-service', {
    HTTP_PORT: '70000',
    DATABASE_URL: 'mysql://inventory@localhost/inventory',
    MESSAGING_NAMESPACE: 'Not a name',
    SHUTDOWN_TIMEOUT_MS: 'soon',
  })
  expect(await doomed.ended).toBe(1)
  const problems = doomed
    .output()
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim().replace(/:.*/, ''))
  expect(problems.toSorted()).toEqual([
    'DATABASE_URL',
    'HTTP_PORT',
    'KAFKA_BROKERS',
    'MESSAGING_NAMESPACE',
    'RABBITMQ_URL',
    'SHUTDOWN_TIMEOUT_MS',
  ])
})
