import { randomUUID } from 'node:crypto'
import { createLogger } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { afterEach, describe, expect, test } from 'vitest'
import { ConsumerRuns } from '../src/consumer-runs.ts'
import { redriveOf, useCounterIntake } from './fixtures/counter-intake.ts'
import { addition, delivered } from './fixtures/counter-messages.ts'
import { stream } from './fixtures/counter-pipeline.ts'
import { type CounterStore, counterStore, openCounterDatabase } from './fixtures/counter-service.ts'
import { closeProxies, proxyToUrl } from './fixtures/proxy.ts'

const { service, open, untilSaid } = useCounterIntake()
const consumer = 'counter-service.kafka'

afterEach(closeProxies)

/** A process that was killed a minute ago, over a message or not. */
async function killed(messageId: string | null = null): Promise<void> {
  await service().db.query(
    `insert into consumer_run (consumer, instance, heartbeat_at, marked_message_id)
     values ($1, $2, now() - interval '1 minute', $3)`,
    [consumer, randomUUID(), messageId],
  )
}

const runs = () => service().db.query('select marked_message_id from consumer_run')

/** A store that notes the keys of each batch, and what is marked meanwhile. */
function watchingStore() {
  const batches: (readonly string[])[] = []
  const marks: unknown[] = []
  const store: CounterStore = {
    ...counterStore,
    load: async (tx, keys) => {
      batches.push(keys.counters)
      const rows = await service().db.query(
        "select marked_message_id from consumer_run where heartbeat_at > now() - interval '30 s'",
      )
      marks.push(rows.find((row) => row['marked_message_id'] !== null)?.['marked_message_id'])
      return counterStore.load(tx, keys)
    },
  }
  return { store, batches, marks }
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
    const intake = open({ store })
    await intake.intake.of(intake.consumer).pipeline.ready()
    await intake.take(...stream('a', 3), ...stream('b', 3))
    expect(batches).toEqual([['a', 'b']])
    expect(marks).toEqual([undefined])
  })

  test('handles messages alone, each marked before, when another one was killed, and only for a while', async () => {
    await killed()
    const { store, batches, marks } = watchingStore()
    const intake = open({ store, runs: { cautionMessagesMax: 3 } })
    await intake.intake.of(intake.consumer).pipeline.ready()
    const messages = ['a', 'b', 'c', 'd', 'e'].map((key) => addition({ key, seq: 1, amount: 1 }))
    const position = 'test.counter.events/0@1'
    await intake.take(...messages.map((message) => ({ ...delivered(message), position })))
    expect(batches).toEqual([['a'], ['b'], ['c'], ['d', 'e']])
    expect(marks).toEqual([...messages.slice(0, 3).map(({ id }) => id), undefined])
    expect((await runs()).every((row) => row['marked_message_id'] === null)).toBe(true)
  })

  test('does not count what was applied already, and handles nothing twice', async () => {
    const intake = open()
    const before = stream('a', 50)
    await intake.take(...before)
    await killed()
    const { store, batches } = watchingStore()
    const careful = open({ store, runs: { cautionMessagesMax: 2 } })
    await careful.intake.of(careful.consumer).pipeline.ready()
    await careful.take(...before, ...stream('b', 1), ...before)
    expect(batches).toEqual([['b']])
    expect(await service().counter('a')).toMatchObject({ total: 50 })
  })

  test('takes nobody for killed after Postgres was away', async () => {
    const { proxy, url } = await proxyToUrl(service().db.serviceUrl)
    const names = [consumer]
    const logger = createLogger('runs', 'silent')
    const options = { consumers: names, logger, heartbeatIntervalMs: 50, staleAfterMs: 400 }
    const databases = [openCounterDatabase(url), openCounterDatabase(url)]
    const processes = databases.map((database) => new ConsumerRuns({ ...options, database }))
    for (const one of processes) await one.start()
    await waitFor(runs, { message: 'both are there', until: (rows) => rows.length === 2 })
    await proxy.cut()
    const sql = `select 1 from consumer_run where heartbeat_at < now() - interval '1 second'`
    await waitFor(() => service().db.query(sql), {
      message: 'both have been silent for long',
      until: (rows) => rows.length === 2,
    })
    await proxy.open()
    await waitFor(() => service().db.query(sql), {
      message: 'both are back',
      timeoutMs: 20_000,
      until: (rows) => rows.length === 0,
    })
    expect(processes.map((one) => one.isCautious('t/0'))).toEqual([false, false])
    for (const one of processes) await one.stop()
    for (const database of databases) await database.end()
  })
})

describe('a message that was marked when processes died', () => {
  test('is dead after three of them, and counted anew when it is redriven', async () => {
    const message = addition({ key: 'a', seq: 1, amount: 1 })
    for (let deaths = 0; deaths < 3; deaths += 1) await killed(message.id)
    const intake = open()
    await intake.intake.of(intake.consumer).pipeline.ready()
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
    await killed(message.id)
    await killed(message.id)
    const intake = open()
    await intake.intake.of(intake.consumer).pipeline.ready()
    await intake.take(delivered(message))
    expect(await service().counter('a')).toMatchObject({ total: 1 })
    expect((await runs()).every((row) => row['marked_message_id'] === null)).toBe(true)
  })
})
