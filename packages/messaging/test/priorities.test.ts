import { compose, defineContract, newMessageId, outgoing } from '@edp/event-schemas'
import type { OutboxRow } from '@edp/outbox'
import { type Component, createHealth, createLogger } from '@edp/runtime'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  consumer,
  createRabbitConsumer,
  createRabbitPublisher,
  declareTopology,
  deleteTopology,
  type IncomingMessage,
  on,
} from '../src/index.ts'
import { useCounterService } from './fixtures/counter-pipeline.ts'
import {
  addedHandler,
  addedV1,
  counterQueue,
  counterStore,
  outboxRows,
} from './fixtures/counter-service.ts'

const expressQueue = { ...counterQueue, name: `${counterQueue.name}.express` }
const { name: routingKey, exchange } = counterQueue
const addV1 = defineContract({
  type: addedV1.type,
  destination: { transport: 'rabbitmq', exchange, routingKey, express: expressQueue.name },
  body: addedV1.body,
})
const counters = consumer({
  name: 'counter-service.rabbitmq',
  store: counterStore,
  handlers: [on(addV1, addedHandler)],
})

type Priority = 'standard' | 'express'

const service = useCounterService()
const url = stack().rabbitmqUrl
const logger = createLogger('priorities', process.env['LOG_LEVEL'] ?? 'silent')
const publisher = createRabbitPublisher({ url, logger })
const running: Component[] = []
let namespace = ''

const topology = () => ({ url, namespace, queues: [counterQueue, expressQueue] })

beforeEach(async () => {
  namespace = uniqueNamespace()
  await declareTopology(topology())
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((component) => component.stop()))
  await deleteTopology(topology())
})
afterAll(() => publisher.stop())

/** Messages of 40 keys, each adding 1. */
function additions(count: number, priority: Priority): OutboxRow[] {
  const origin = {
    source: 'test',
    namespace,
    now: new Date(),
    coordination: 'orchestrated',
  } as const
  return outboxRows(
    Array.from({ length: count }, (_, seq) => {
      const key = `${priority}-${seq % 40}`
      return compose(outgoing(addV1, key, { key, seq, amount: 1 }), { ...origin, priority })
    }),
  )
}

async function publish(rows: readonly OutboxRow[]): Promise<void> {
  expect(await publisher.publish(rows)).toEqual(rows.map(() => undefined))
}

/** A consumer on the real pipeline; `gate` holds batches of a priority up before they are handled. */
async function startConsumer(gate: (priority: Priority) => Promise<void> = async () => undefined) {
  const pipeline = service().pipeline({ consumer: counters })
  const health = createHealth()
  const handled = { standard: 0, express: 0 }
  const component = createRabbitConsumer({
    url,
    namespace,
    consumer: counters,
    logger,
    health,
    pipeline: {
      ready: () => pipeline.ready(),
      handle: async (batch, signal) => {
        const priorities = new Set(batch.map(priorityOf))
        expect(priorities.size).toBe(1)
        for (const priority of priorities) await gate(priority)
        await pipeline.handle(batch, signal)
        for (const message of batch) handled[priorityOf(message)] += 1
      },
    },
    onCrash: (error) => {
      throw error
    },
  })
  running.push(component)
  await component.start()
  return { component, handled, checks: () => health.readiness().checks }
}

function priorityOf({ position }: IncomingMessage): Priority {
  return position.startsWith(`${namespace}.${expressQueue.name}@`) ? 'express' : 'standard'
}

async function applied(): Promise<number> {
  const [row] = await service().db.query('select count(*)::int as applied from applied')
  return Number(row?.['applied'])
}

describe('a consumer of two classes', () => {
  test.each([
    ['express', 'standard'],
    ['standard', 'express'],
  ] as const)('goes on with %s messages however long the %s ones take', async (free, held) => {
    const opened = Promise.withResolvers<void>()
    let isHeld = false
    await publish([...additions(3000, held), ...additions(300, free)])
    const { handled, component } = await startConsumer(async (priority) => {
      if (priority === free) return
      isHeld = true
      await opened.promise
    })
    await waitFor(() => isHeld && handled[free] === 300, {
      message: `the ${free} ones are handled`,
      timeoutMs: 30_000,
    })
    expect(handled[held]).toBe(0)
    // Also those that come later.
    await publish(additions(10, free))
    await waitFor(() => handled[free] === 310, { message: 'the later ones too' })
    opened.resolve()
    await waitFor(() => handled[held] === 3000, { message: 'all of it', timeoutMs: 40_000 })
    await component.stop()
    expect(await applied()).toBe(3310)
    expect(await service().appliedTwice()).toEqual([])
  })

  test('handles standard messages while express ones come without end', async () => {
    await publish(additions(2000, 'standard'))
    const { handled } = await startConsumer()
    let published = 0
    while (handled.standard < 2000) {
      await publish(additions(500, 'express'))
      published += 500
      // They never end, but no more of them wait than are handled in time.
      await waitFor(() => handled.standard >= 2000 || published - handled.express < 1500, {
        message: 'messages are handled',
      })
    }
    await waitFor(() => handled.express === published, { message: 'all', timeoutMs: 40_000 })
    expect(await applied()).toBe(2000 + published)
  })

  test('applies a message once, though it comes in both classes', async () => {
    const messageId = newMessageId()
    const copyOf = (row: OutboxRow): OutboxRow => {
      return { ...row, messageId, headers: { ...row.headers, cloudEvents_id: messageId } }
    }
    const copies = [...additions(1, 'standard'), ...additions(1, 'express')].map(copyOf)
    const { handled } = await startConsumer()
    await publish(copies)
    await waitFor(() => handled.standard + handled.express === 2, { message: 'both copies' })
    expect(await applied()).toBe(1)
  })

  test('says of each class how it is', async () => {
    const { checks } = await startConsumer()
    const consuming = () => Object.keys(checks()).filter((name) => checks()[name]?.status === 'ok')
    await waitFor(() => consuming().length === 2, { message: 'both consume' })
    expect(consuming()).toEqual(['counter-service.rabbitmq', 'counter-service.rabbitmq.express'])
  })
})
