import type { Database } from '@edp/runtime'
import { type TestDatabase, waitFor } from '@edp/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import {
  count,
  countersDatabase,
  countersOf,
  openCounters,
  startWriters,
} from './counted-messages.ts'
import { RelayProcess } from './relay-process.ts'
import { expectAllInOrder, TopicLog } from './topic-log.ts'

let database: TestDatabase
let counters: Database
let log: TopicLog
let relays: RelayProcess[]
let writers: { stop(): Promise<void> } | undefined

// A topic takes 1 MiB at most unless it is told otherwise.
const padding = 'x'.repeat(1_200_000)
const enough = 4_000_000
const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`)

beforeEach(async () => {
  database = await countersDatabase()
  counters = openCounters(database)
  relays = []
  writers = undefined
  log = new TopicLog()
  await log.createTopic()
  await log.read()
})

afterEach(async () => {
  await writers?.stop()
  await Promise.all(relays.map((relay) => relay.stop()))
  await counters.end()
  await log.remove()
  await database.drop()
})

function startRelay(env: Record<string, string> = {}): RelayProcess {
  const relay = new RelayProcess(database, { MESSAGING_NAMESPACE: log.namespace, ...env })
  relays.push(relay)
  return relay
}

const write = (key: string) => count(counters, key, log)
const writeTooLarge = (key: string) => count(counters, key, { namespace: log.namespace, padding })

const deadRow = z.object({ id: z.number(), key: z.string(), status: z.enum(['dead', 'waiting']) })
const deadRows = async () =>
  z
    .array(deadRow)
    .parse(await database.query('select id, key, status from outbox_dead order by id'))
const isEmptied = async () => (await database.query('select from outbox')).length === 0

const largeRows = async () =>
  (
    await database.query(
      `select from outbox where octet_length(payload::text) > 1000000
       union all select from outbox_dead`,
    )
  ).length

function dead(many: number): Promise<z.infer<typeof deadRow>[]> {
  return waitFor(async () => (await deadRows()).filter(({ status }) => status === 'dead'), {
    message: `${many} dead rows`,
    until: (rows) => rows.length === many,
    timeoutMs: 30_000,
  })
}

async function putBack(relay: RelayProcess, id: number): Promise<number> {
  const url = `${await relay.url()}/dead-rows/counters/kafka/${id}/put-back`
  const body = JSON.stringify({ by: 'ann', why: 'the topic takes it now' })
  const headers = { 'content-type': 'application/json' }
  return (await fetch(url, { method: 'POST', headers, body })).status
}

test('rows too large for their topic stop their keys only, and come in their places when they are put back', async () => {
  const relay = startRelay()
  await Promise.all(keys.map(write))
  // Several in one window, two of one key.
  for (const key of ['key-0', 'key-1', 'key-0']) await writeTooLarge(key)
  for (let round = 0; round < 10; round += 1) await Promise.all(keys.map(write))
  const found = await dead(2)
  await waitFor(isEmptied, { message: 'all others are published', timeoutMs: 30_000 })
  expect(found.map(({ key }) => key)).toEqual(['key-0', 'key-1'])
  const published = (key: string) => log.messages.filter((message) => message.key === key).length
  await waitFor(() => keys.map(published), {
    message: 'the other keys went on',
    until: (many) => Math.min(...many.slice(2)) >= 11,
  })
  expect([published('key-0'), published('key-1')]).toEqual([1, 1])
  await waitFor(() => log.letters.length, { message: 'two letters', until: (many) => many >= 2 })
  const told = log.letters.map(({ body }) => `${String(body['key'])} ${String(body['reason'])}`)
  expect(told.toSorted()).toEqual(['key-0 outbox-unpublishable', 'key-1 outbox-unpublishable'])
  await log.accept(enough)
  expect(await Promise.all(found.map(({ id }) => putBack(relay, id)))).toEqual([200, 200])
  await expectAllInOrder(log, await countersOf(database))
  expect(await deadRows()).toEqual([])
})

test('where it is told to skip, a key goes on without its dead row', async () => {
  const relay = startRelay({ OUTBOX_DEAD_ROWS: JSON.stringify({ [log.topic]: 'skip' }) })
  await writeTooLarge('key-0')
  for (let round = 0; round < 5; round += 1) await write('key-0')
  const [found] = await dead(1)
  await waitFor(() => log.messages.map(({ sequence }) => sequence), {
    message: 'the others of the key',
    until: (sequences) => sequences.length === 5,
  })
  await log.accept(enough)
  expect(await putBack(relay, found?.id ?? 0)).toBe(200)
  await waitFor(() => log.messages.map(({ sequence }) => sequence), {
    message: 'the dead one, late',
    until: (sequences) => sequences.join() === '2,3,4,5,6,1',
  })
  expect(await deadRows()).toEqual([])
})

test.each(['relay.before-bury', 'relay.after-bury'])(
  'a relay killed at %s moves each dead row and its letter once and together, and inverts no key',
  async (point) => {
    writers = startWriters(write, keys)
    await Promise.all(keys.slice(0, 4).map(writeTooLarge))
    for (const pass of [1, 2]) {
      const { signal } = await startRelay({ FAULT_POINTS: `${point}=kill@${pass}` }).ended()
      expect(signal).toBe('SIGKILL')
    }
    const relay = startRelay()
    const found = await dead(4)
    await writers.stop()
    await waitFor(isEmptied, { message: 'all others are published', timeoutMs: 30_000 })
    await waitFor(() => log.letters.length, { message: 'letters', until: (many) => many >= 4 })
    const ids = new Set(log.letters.map(({ body }) => body['messageId']))
    expect([ids.size, log.letters.length]).toEqual([4, 4])
    await log.accept(enough)
    for (const { id } of found) expect(await putBack(relay, id)).toBe(200)
    await expectAllInOrder(log, await countersOf(database))
  },
)

test('two relays, of which one or the other is killed while keys halt and are put back, invert no key', async () => {
  writers = startWriters(write, keys)
  startRelay()
  startRelay()
  for (let round = 0; round < 3; round += 1) {
    await Promise.all(keys.slice(0, 3).map(writeTooLarge))
    const found = await dead(3)
    const [first, second] = relays.slice(-2)
    await log.accept(enough)
    // The one that is asked may be the owner, the one that stands by, or about to become the owner.
    const doomed = round % 2 === 0 ? first : second
    const asked = round % 2 === 0 ? second : first
    if (round === 1) doomed?.signal('SIGKILL')
    const statuses = asked && (await Promise.all(found.map(({ id }) => putBack(asked, id))))
    expect(statuses).toEqual([200, 200, 200])
    doomed?.signal('SIGKILL')
    await waitFor(largeRows, {
      message: 'what was dead is published',
      until: (many) => many === 0,
    })
    await log.accept(1_000_000)
    startRelay()
  }
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
})
