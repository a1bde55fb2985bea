import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { closeProxies, proxyToUrl, waitFor } from '@edp/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { attributeOf } from '../src/incoming-message.ts'
import type { IncomingMessage } from '../src/index.ts'
import { borrowedService } from './fixtures/borrowed-service.ts'
import {
  type CounterIntake,
  type CounterIntakeOptions,
  redriveOf,
  useCounterIntake,
} from './fixtures/counter-intake.ts'
import { addition, delivered } from './fixtures/counter-messages.ts'
import { stream } from './fixtures/counter-pipeline.ts'
import { type CounterStore, counterStore, openCounterDatabase } from './fixtures/counter-service.ts'

const { service, open, untilSaid } = useCounterIntake()
const consumer = 'counter-service.kafka'

afterEach(closeProxies)

/** A process that was killed a minute ago, over messages or not. */
async function killed(messageIds: readonly string[] | null = null): Promise<void> {
  await service().db.query(
    `insert into consumer_run (consumer, instance, heartbeat_at, marked_message_ids)
     values ($1, $2, now() - interval '1 minute', $3)`,
    [consumer, randomUUID(), messageIds],
  )
}

const runs = () => service().db.query('select consumer, marked_message_ids from consumer_run')

function idsOf(messages: readonly IncomingMessage[]): string[] {
  return messages.map((message) => attributeOf(message, 'id') ?? '')
}

/** A store that notes the keys of each batch, and what this process has marked meanwhile. */
function watchingStore() {
  const batches: (readonly string[])[] = []
  const marks: unknown[] = []
  const store: CounterStore = {
    ...counterStore,
    load: async (tx, keys) => {
      batches.push(keys.counters)
      const rows = await service().db.query(
        "select marked_message_ids from consumer_run where heartbeat_at > now() - interval '30 s'",
      )
      const marked = rows.filter((row) => row['marked_message_ids'] !== null)
      marks.push(marked.map((row) => row['marked_message_ids']))
      return counterStore.load(tx, keys)
    },
  }
  return { store, batches, marks }
}

async function openReady(options: CounterIntakeOptions = {}): Promise<CounterIntake> {
  const intake = open(options)
  await intake.intake.of(intake.consumer).pipeline.ready()
  return intake
}

describe('a process', () => {
  test('that stops cleanly leaves nothing of itself', async () => {
    const intake = open()
    await intake.start()
    await waitFor(runs, { message: 'it is there', until: (rows) => rows.length === 2 })
    await intake.stop()
    expect(await runs()).toEqual([])
  })

  test('handles batches, unmarked, while nobody was killed', async () => {
    const { store, batches, marks } = watchingStore()
    const intake = await openReady({ store })
    await intake.take(...stream('a', 3), ...stream('b', 3))
    expect(batches).toEqual([['a', 'b']])
    expect(marks).toEqual([[]])
  })

  test('handles batches when another one was killed, each marked before', async () => {
    await killed()
    const { store, batches, marks } = watchingStore()
    const intake = await openReady({ store })
    const [one, two] = [[...stream('a', 3), ...stream('b', 3)], stream('c', 2)]
    await intake.take(...one)
    await intake.take(...two)
    expect(batches).toEqual([['a', 'b'], ['c']])
    expect(marks).toEqual([[idsOf(one)], [idsOf(two)]])
  })

  test('marks only for a while', async () => {
    await killed()
    const { store, marks } = watchingStore()
    const intake = await openReady({ store, runs: { heartbeatIntervalMs: 20, cautionMs: 1000 } })
    const messages = stream('a', 1)
    await intake.take(...messages)
    expect(marks).toEqual([[idsOf(messages)]])
    // From here on it looks again.
    await intake.start()
    await waitFor(
      async () => {
        await intake.take(...stream('a', 1))
        return marks
      },
      { message: 'nothing is marked', until: (seen) => isDeepStrictEqual(seen.at(-1), []) },
    )
  })

  test('takes back the mark of what it has handled', async () => {
    await killed()
    const intake = await openReady({ runs: { heartbeatIntervalMs: 20 } })
    await intake.start()
    await intake.take(...stream('a', 3))
    await waitFor(runs, {
      message: 'nothing is marked',
      until: (rows) => rows.every((row) => row['marked_message_ids'] === null),
    })
    expect(await service().counter('a')).toMatchObject({ total: 3 })
  })

  test('takes back the mark of one consumer when it marks for another', async () => {
    await killed()
    const intake = await openReady()
    await intake.take(...stream('a', 1))
    const redrive = redriveOf(randomUUID())
    await intake.command(redrive)
    const marked = (await runs()).filter((row) => row['marked_message_ids'] !== null)
    expect(marked).toEqual([
      { consumer: `${borrowedService}.redrive`, marked_message_ids: [redrive.id] },
    ])
  })

  test('handles a tenth at a time of what was marked when another one was killed, in order', async () => {
    const messages = Array.from({ length: 20 }, (_, n) =>
      delivered(addition({ key: `key-${10 + n}`, seq: 1, amount: 1 })),
    )
    await killed(idsOf(messages))
    const { store, batches } = watchingStore()
    const intake = await openReady({ store })
    const unsuspected = stream('a', 5)
    await intake.take(...unsuspected, ...messages)
    const pairs = Array.from({ length: 10 }, (_, n) => [`key-${10 + 2 * n}`, `key-${11 + 2 * n}`])
    expect(batches).toEqual([['a'], ...pairs])
    expect(await service().said()).toEqual([])
  })

  test('forgets what another one had marked as soon as all of it is applied', async () => {
    const messages = stream('a', 30)
    await killed(idsOf(messages))
    await killed(idsOf([...messages, ...stream('b', 1)]))
    const intake = await openReady({ runs: { heartbeatIntervalMs: 20 } })
    await intake.start()
    const marks = () =>
      service().db.query(
        'select cardinality(marked_message_ids) as size from consumer_run where heartbeat_at < now() - interval $$30 s$$',
      )
    expect(await marks()).toEqual([{ size: 30 }, { size: 31 }])
    await intake.take(...messages)
    await waitFor(marks, {
      message: 'only the one with a message that did not come is left',
      until: (rows) => isDeepStrictEqual(rows, [{ size: 31 }]),
    })
  })

  test('does not take who started before it for killed once that says that it lives', async () => {
    const quick = { heartbeatIntervalMs: 20 }
    const one = await openReady({ runs: quick })
    await one.start()
    const { store, marks } = watchingStore()
    const two = await openReady({ store, runs: quick })
    await two.start()
    await waitFor(
      async () => {
        await two.take(...stream('a', 1))
        return marks
      },
      { message: 'nothing is marked', until: (seen) => isDeepStrictEqual(seen.at(-1), []) },
    )
    // It lives.
    expect(await service().db.query('select distinct instance from consumer_run')).toHaveLength(2)
  })
})

test('processes that nobody could hear over an outage of Postgres mark only until they are heard again', async () => {
  const { proxy, url } = await proxyToUrl(service().db.serviceUrl)
  const quick = { heartbeatIntervalMs: 20, staleAfterMs: 200 }
  const startOne = async () => {
    const database = openCounterDatabase(url)
    const { store, marks } = watchingStore()
    const process = await openReady({ database, store, runs: quick })
    await process.start()
    return { database, marks, process }
  }
  const processes = [await startOne(), await startOne()]
  await proxy.cut()
  const heard = 'select from consumer_run where heartbeat_at > now() - interval $$1 s$$'
  await waitFor(() => service().db.query(heard), {
    message: 'neither is heard',
    until: (rows) => rows.length === 0,
  })
  await proxy.open()
  for (const { process, marks } of processes) {
    const take = async (): Promise<unknown> => {
      await process.take(...stream('a', 1))
      return marks.at(-1)
    }
    await waitFor(take, {
      message: 'nothing is marked',
      until: (marked) => isDeepStrictEqual(marked, []),
    })
  }
  for (const { database, process } of processes) {
    await process.stop()
    await database.end()
  }
  expect(await runs()).toEqual([])
  expect(await service().said()).toEqual([])
})

describe('a message that was marked when processes died', () => {
  test('is dead after three of them, and counted anew when it is redriven', async () => {
    const message = addition({ key: 'a', seq: 1, amount: 1 })
    for (let deaths = 0; deaths < 3; deaths += 1) await killed([message.id])
    const intake = await openReady()
    await intake.take(...stream('b', 2), delivered(message))
    expect(await service().counter('b')).toMatchObject({ total: 2 })
    expect(await service().counter('a')).toBeUndefined()
    const [letter] = await service().said()
    expect(letter).toMatchObject({
      type: 'dead-lettered',
      body: { messageId: message.id, reason: 'process-killed', error: { code: 'process-killed' } },
    })
    await intake.start()
    await intake.command(redriveOf(message.id))
    expect((await untilSaid(2))[1]?.body).toMatchObject({ outcome: 'applied' })
    expect(await service().counter('a')).toMatchObject({ total: 1 })
  })

  test('is tried again after two, and is innocent when it succeeds', async () => {
    const message = addition({ key: 'a', seq: 1, amount: 1 })
    await killed([message.id])
    await killed([message.id])
    const intake = await openReady()
    await intake.take(delivered(message))
    expect(await service().counter('a')).toMatchObject({ total: 1 })
    const processes = await service().db.query('select distinct instance from consumer_run')
    expect(processes.length).toBe(1)
  })
})
