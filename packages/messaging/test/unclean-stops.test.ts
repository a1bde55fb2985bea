import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Transport } from '@edp/event-schemas'
import type { Publisher } from '@edp/outbox'
import { type Component, createLogger } from '@edp/runtime'
import { seededRandom, stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import {
  createKafkaPublisher,
  createRabbitPublisher,
  declareTopology,
  deleteTopics,
  deleteTopology,
  ensureTopics,
} from '../src/index.ts'
import { addition } from './fixtures/counter-messages.ts'
import { useCounterService } from './fixtures/counter-pipeline.ts'
import { counterQueue, counterTopic, outboxRows } from './fixtures/counter-service.ts'
import { startMember } from './fixtures/start-member.ts'

// Processes of the counter service that are killed, and started again as a supervisor does it.

const service = useCounterService()
const { kafkaBrokers: brokers, rabbitmqUrl: url } = stack()
const logger = createLogger('unclean-stops', 'silent')
const children: ChildProcess[] = []
const cleanUps: (() => Promise<unknown>)[] = []
let seq = 0

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

async function open(transport: Transport) {
  const namespace = uniqueNamespace()
  const publisher: Publisher & Component =
    transport === 'kafka'
      ? createKafkaPublisher({ brokers, clientId: 'unclean-stops', logger })
      : createRabbitPublisher({ url, logger })
  const topics = [counterTopic]
  const queues = [counterQueue]
  if (transport === 'kafka') {
    await ensureTopics({ brokers, namespace, topics })
    cleanUps.push(() => deleteTopics({ brokers, namespace, topics }))
  } else {
    await declareTopology({ url, namespace, queues })
    cleanUps.push(() => deleteTopology({ url, namespace, queues }))
  }
  await publisher.start()
  cleanUps.push(() => publisher.stop())

  return {
    start: (faultPoints?: string) => {
      const child = startMember({
        namespace,
        databaseUrl: service().db.serviceUrl,
        broker: transport === 'kafka' ? brokers.join(',') : url,
        ...(faultPoints !== undefined && { faultPoints }),
      })
      children.push(child)
      return child
    },
    /** Gives the ids. */
    publish: async (count: number, fail?: string): Promise<string[]> => {
      const rows = outboxRows(
        Array.from({ length: count }, () => {
          seq += 1
          const body = { key: `key-${seq % 40}`, seq, amount: 1, ...(fail && { fail }) }
          return addition(body, { namespace, transport })
        }),
      )
      expect(await publisher.publish(rows)).toEqual(rows.map(() => undefined))
      return rows.map(({ messageId }) => messageId)
    },
  }
}

async function applied(): Promise<number> {
  const [row] = await service().db.query('select count(*)::int as applied from applied')
  return Number(row?.['applied'])
}

function untilApplied(count: number): Promise<unknown> {
  return waitFor(applied, {
    until: (value) => value >= count,
    timeoutMs: 60_000,
    message: `${count} messages applied`,
  })
}

async function expectEachOnce(count: number): Promise<void> {
  expect(await applied()).toBe(count)
  expect(await service().appliedTwice()).toEqual([])
}

/** Starts a process again whenever it dies, until `done`; gives how often it died. The last one is stopped cleanly. */
async function supervise(start: () => ChildProcess, done: () => Promise<boolean>): Promise<number> {
  for (let deaths = 0; deaths < 40; deaths += 1) {
    const child = start()
    const exited = once(child, 'exit')
    let isOver = false
    void exited.then(() => (isOver = true))
    await waitFor(async () => isOver || (await done()), {
      timeoutMs: 60_000,
      message: 'it dies, or all is done',
    })
    if (!(await done())) continue
    child.kill('SIGTERM')
    await exited
    return deaths
  }
  throw new Error('it died again and again')
}

describe.each(['rabbitmq', 'kafka'] as const)(
  'a message over %s that kills its process',
  (over) => {
    test('is a dead letter after some deaths, and everything else is applied', {
      timeout: 240_000,
    }, async () => {
      const { publish, start } = await open(over)
      await publish(100)
      const [killer = ''] = await publish(1, 'SIGKILL')
      await publish(100)
      const deaths = await supervise(start, async () => {
        return (await service().said()).length > 0 && (await applied()) === 200
      })
      // Once unmarked, at most three times in ever smaller groups, and three times alone.
      expect(deaths).toBeGreaterThanOrEqual(4)
      expect(deaths).toBeLessThanOrEqual(7)
      const said = await service().said()
      expect(said).toMatchObject([
        {
          type: 'dead-lettered',
          body: {
            messageId: killer,
            consumer: `counter-service.${over}`,
            reason: 'process-killed',
          },
        },
      ])
      await expectEachOnce(200)
      const charged = 'select * from consumer_run where cardinality(marked_message_ids) = 1'
      expect(await service().db.query(charged)).toEqual([])
    })
  },
)

test('processes that are killed twenty times with all their messages in hand charge none of them', {
  timeout: 240_000,
}, async () => {
  const random = seededRandom('twenty kills')
  const { publish, start } = await open('rabbitmq')
  let published = 0
  for (let kills = 0; kills < 20; kills += 1) {
    published += (await publish(kills === 0 ? 4000 : 300)).length
    const child = start()
    await once(child.stdout ?? child, 'data')
    // At any moment: what it does just then is its own business.
    await new Promise((resolve) => setTimeout(resolve, random.below(150)))
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  start()
  await untilApplied(published)
  await expectEachOnce(published)
  expect(await service().parked()).toEqual([])
  expect(await service().said()).toEqual([])
})

test('what was in a batch when its process was killed is handled in a batch again', async () => {
  const { publish, start } = await open('rabbitmq')
  await publish(100)
  const child = start('pipeline.before-commit=kill')
  await once(child, 'exit')
  const marks = 'select marked_message_ids from consumer_run where marked_message_ids is not null'
  expect(await service().db.query(marks)).toEqual([])
  const after = start()
  let batches = 0
  after.stdout?.on('data', (said: Buffer) => {
    batches += said.toString().split('handled').length - 1
  })
  await untilApplied(100)
  await expectEachOnce(100)
  after.kill('SIGTERM')
  await once(after, 'exit')
  // As many as the broker needed to deliver them, and not one for each message.
  expect(batches).toBeLessThanOrEqual(20)
  expect(await service().parked()).toEqual([])
})
