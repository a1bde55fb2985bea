import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import {
  type ComposedMessage,
  orderCancelledV1,
  orderConfirmedV1,
  orderPlacedV1,
  topics,
} from '@edp/event-schemas'
import {
  consumer,
  createKafkaConsumer,
  createKafkaPublisher,
  declareTopology,
  deleteTopics,
  deleteTopology,
  ensureTopics,
  on,
} from '@edp/messaging'
import { createHealth, createLogger } from '@edp/runtime'
import {
  killApps,
  spawnApp,
  stack,
  startApp,
  templateDatabase,
  type TestDatabase,
  uniqueNamespace,
  waitFor,
} from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cancelled, confirmed, placed } from './given.ts'

const namespace = uniqueNamespace()
const at = { time: '2026-01-02T03:04:05Z', namespace }
const { kafkaBrokers: brokers, rabbitmqUrl } = stack()
const logger = createLogger('fan-out', process.env['LOG_LEVEL'] ?? 'silent')
const publisher = createKafkaPublisher({ brokers, clientId: 'fan-out', logger })
let postgres: TestDatabase
const seenByOther: string[] = []

// A consumer as any other team would have it, with a group of its own.
const nothing = { keys: () => ({}), decide: () => ({}) }
const other = consumer({
  name: 'other-team.kafka',
  store: { keyOf: {}, load: async () => ({}), save: async () => undefined },
  handlers: [
    on(orderPlacedV1, nothing),
    on(orderConfirmedV1, nothing),
    on(orderCancelledV1, nothing),
  ],
})
const otherConsumer = createKafkaConsumer({
  brokers,
  namespace,
  consumer: other,
  pipeline: {
    ready: async () => undefined,
    handle: async (batch) => {
      for (const { headers } of batch) seenByOther.push(headers['ce_id'] ?? '')
    },
  },
  logger,
  health: createHealth(),
  onCrash: (error) => {
    throw error
  },
})

beforeAll(async () => {
  const migrations = fileURLToPath(new URL('../migrations', import.meta.url))
  postgres = await templateDatabase({ role: 'order_statistics', migrations })
  await ensureTopics({ brokers, namespace, topics })
  await declareTopology({ url: rabbitmqUrl, namespace })
  await publisher.start()
  await otherConsumer.start()
})
afterAll(async () => {
  killApps()
  await otherConsumer.stop()
  await publisher.stop()
  await deleteTopology({ url: rabbitmqUrl, namespace })
  await deleteTopics({ brokers, namespace, topics })
  await postgres.drop()
})

function startService() {
  return startApp('order-statistics', {
    DATABASE_URL: postgres.serviceUrl,
    KAFKA_BROKERS: brokers.join(','),
    RABBITMQ_URL: rabbitmqUrl,
    MESSAGING_NAMESPACE: namespace,
  })
}

async function publish(messages: readonly ComposedMessage[]): Promise<void> {
  const rows = messages.map(({ id: messageId, ...message }, id) => ({ id, messageId, ...message }))
  expect((await publisher.publish(rows)).filter(Boolean)).toEqual([])
}

async function untilCounted(url: string, figures: object): Promise<void> {
  const { placed: orders, confirmed: ends, cancelled: losses } = { ...zeros, ...figures }
  await waitFor(async () => (await fetch(`${url}/statistics`)).json() as Promise<typeof zeros>, {
    message: `counted: ${JSON.stringify(figures)}`,
    until: (body) => body.placed === orders && body.confirmed === ends && body.cancelled === losses,
    timeoutMs: 40_000,
  })
}

const zeros = { placed: 0, confirmed: 0, cancelled: 0 }

async function untilOtherHas(count: number): Promise<void> {
  await waitFor(() => new Set(seenByOther).size === count, {
    message: `the other consumer has ${count} messages`,
    timeoutMs: 30_000,
  })
}

test('each consumer gets every fact, in a group of its own, whatever becomes of the others', async () => {
  // One that is not there yet misses nothing: it begins at the beginning.
  await publish(Array.from({ length: 20 }, () => placed(at, 100)))
  await untilOtherHas(20)
  const first = await startService()
  await untilCounted(first.url, { placed: 20 })

  // One that is killed delays nobody, and goes on where its last commit was: what it gets again counts once.
  await publish([confirmed(at, 100), ...Array.from({ length: 9 }, () => placed(at, 100))])
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const missed = [cancelled(at, 'out-of-stock'), confirmed(at, 100)]
  await publish([...missed, ...missed])
  await untilOtherHas(32)

  // What one of them cannot read is its own affair: dead there, with what comes after it counted.
  const [valid] = [placed(at, 100)]
  await publish([{ ...valid, payload: '{"not":"an order"}' }, placed(at, 100)])
  await untilOtherHas(34)
  const second = await startService()
  await untilCounted(second.url, { placed: 30, confirmed: 2, cancelled: 1 })
  const letters = await waitFor(() => postgres.query(`select status, reason from parked_message`), {
    message: 'the broken one is parked',
    until: (rows) => rows.length === 1,
  })
  expect(letters).toEqual([{ status: 'dead', reason: 'poison' }])
  expect(await postgres.query('select type from outbox')).toEqual([
    { type: 'message.dead-lettered.v1' },
  ])
  second.child.kill('SIGTERM')
  expect(await once(second.child, 'exit')).toEqual([0, null])
}, 240_000)

test('a bad environment is refused with every problem in one message and exit code 1', async () => {
  const doomed = spawnApp('order-statistics', {
    HTTP_PORT: '70000',
    DATABASE_URL: 'mysql://x@y/z',
  })
  expect(await doomed.ended).toBe(1)
  const named = doomed
    .output()
    .split('\n')
    .filter((line) => line.startsWith('  '))
    .map((line) => line.trim().replace(/:.*/, ''))
  expect(named.toSorted()).toEqual(['DATABASE_URL', 'HTTP_PORT', 'KAFKA_BROKERS', 'RABBITMQ_URL'])
})
