import { once } from 'node:events'
import { topics } from '@edp/event-schemas'
import {
  createRabbitPublisher,
  declareTopology,
  deleteTopology,
  deleteTopics,
  ensureTopics,
  type IncomingMessage,
} from '@edp/messaging'
import { createLogger } from '@edp/runtime'
import { killApps, spawnApp, stack, startApp, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { newOrderId, release, reserve } from './given.ts'
import { type Inventory, openInventory } from './inventory.ts'

// Commands over a real broker, to the service as processes.

const namespace = uniqueNamespace()
const { kafkaBrokers: brokers, rabbitmqUrl: url } = stack()
const publisher = createRabbitPublisher({ url, logger: createLogger('inventory-test', 'error') })
let inventory: Inventory

beforeAll(async () => {
  inventory = await openInventory()
  await ensureTopics({ brokers, namespace, topics })
  await declareTopology({ url, namespace })
})
afterEach(killApps)
afterAll(async () => {
  await publisher.stop()
  await deleteTopology({ url, namespace })
  await deleteTopics({ brokers, namespace, topics })
  await inventory.close()
})

function env(): Record<string, string> {
  return {
    HTTP_PORT: '0',
    DATABASE_URL: inventory.postgres.serviceUrl,
    KAFKA_BROKERS: brokers.join(','),
    RABBITMQ_URL: url,
    MESSAGING_NAMESPACE: namespace,
  }
}

/** Publishes commands as the relay does. */
async function publish(messages: readonly IncomingMessage[]): Promise<void> {
  const outcomes = await publisher.publish(
    messages.map((message, index) => ({
      id: index + 1,
      messageId: message.headers['cloudEvents_id'] ?? '',
      destination: `${namespace}.commands/${namespace}.inventory.commands`,
      key: message.headers['cloudEvents_subject'] ?? '',
      type: message.headers['cloudEvents_type'] ?? '',
      payload: Buffer.from(message.body).toString(),
      headers: message.headers as Record<string, string>,
    })),
  )
  expect(outcomes.filter((error) => error !== undefined)).toEqual([])
}

/** Outcomes of the replies to an order's commands, by direction and attempt. */
async function repliesTo(orderId: string): Promise<string[]> {
  const sent = await inventory.sent(orderId)
  return sent
    .filter(({ type }) => type.includes('.replied.'))
    .map(({ payload }) => [payload['direction'], payload['attempt'], payload['outcome']].join(' '))
    .toSorted()
}

function untilReplied(orderId: string, replies: readonly string[]): Promise<unknown> {
  return waitFor(() => repliesTo(orderId), {
    message: `the replies ${replies.join()}`,
    timeoutMs: 30_000,
    until: (seen) => replies.every((reply) => seen.includes(reply)),
  })
}

test('commands that come twice, and again under new ids, have their effect once and are all answered', async () => {
  await inventory.receive({ 'rabbit-cup': 10 })
  await startApp('inventory-service', env())
  const [kept, undone, undoneFirst] = [newOrderId(), newOrderId(), newOrderId()]
  const first = [
    reserve(kept, { 'rabbit-cup': 2 }, 1),
    reserve(undone, { 'rabbit-cup': 3 }, 1),
    release(undoneFirst, 1),
  ]
  await publish([...first, ...first])
  await untilReplied(kept, ['do 1 ok'])
  await untilReplied(undone, ['do 1 ok'])
  await untilReplied(undoneFirst, ['undo 1 ok'])
  const second = [
    ...first,
    reserve(kept, { 'rabbit-cup': 2 }, 2),
    release(undone, 1),
    reserve(undoneFirst, { 'rabbit-cup': 4 }, 1),
  ]
  await publish([...second, ...second])
  await untilReplied(kept, ['do 2 ok'])
  await untilReplied(undone, ['undo 1 ok'])
  await untilReplied(undoneFirst, ['do 1 refused'])
  // Behind everything that was published: when it is answered, so is all before it.
  await publish([release(undone, 2)])
  await untilReplied(undone, ['undo 2 ok'])
  expect(await repliesTo(kept)).toEqual(['do 1 ok', 'do 2 ok'])
  expect(await repliesTo(undone)).toEqual(['do 1 ok', 'undo 1 ok', 'undo 2 ok'])
  expect(await repliesTo(undoneFirst)).toEqual(['do 1 refused', 'undo 1 ok'])
  expect(await inventory.stockOf('rabbit-cup')).toEqual({ onHand: 10, reserved: 2 })
})

test.each([
  ['before its commit', 'pipeline.before-commit'],
  ['between commit and acknowledgement', 'pipeline.after-commit'],
])(
  'a process that dies %s, with commands in hand, leaves nothing undone and nothing done twice',
  async (_, point) => {
    const sku = `cup-${point}`
    await inventory.receive({ [sku]: 1000 })
    const orders = Array.from({ length: 200 }, newOrderId)
    await publish(orders.map((orderId) => reserve(orderId, { [sku]: 1 })))
    const { child: doomed } = spawnApp('inventory-service', {
      ...env(),
      FAULT_POINTS: `${point}=kill`,
    })
    expect(await once(doomed, 'exit')).toEqual([null, 'SIGKILL'])
    await startApp('inventory-service', env())
    for (const orderId of orders) await untilReplied(orderId, ['do 1 ok'])
    expect(await inventory.stockOf(sku)).toEqual({ onHand: 1000, reserved: 200 })
    const held = await inventory.postgres.query(
      "select count(*)::int as held from reservations where status = 'held' and lines::text like $1",
      [`%${sku}%`],
    )
    expect(held).toEqual([{ held: 200 }])
  },
)
