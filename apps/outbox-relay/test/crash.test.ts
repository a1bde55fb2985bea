import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Database } from '@edp/runtime'
import { type TestDatabase, waitFor } from '@edp/testkit'
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
let writers: { stop(): Promise<void> }

beforeEach(async () => {
  database = await countersDatabase()
  counters = openCounters(database)
  relays = []
  log = new TopicLog()
  await log.createTopic()
  await log.read()
})

afterEach(async () => {
  await writers.stop()
  await Promise.all(relays.map((relay) => relay.stop()))
  await counters.end()
  await log.remove()
  await database.drop()
})

function startRelay(env: Record<string, string> = {}): RelayProcess {
  const relay = new RelayProcess(database, env)
  relays.push(relay)
  return relay
}

// Not "another relay has the lease".
const drains = 'has the lease, drains'
const drainsNoMore = 'drains no more'
const pauseMs = 10
const keys = Array.from({ length: 12 }, (_, index) => `key-${index}`)

test.each(['relay.before-publish', 'relay.after-publish', 'relay.after-delete'])(
  'a relay killed at %s loses nothing and keeps the order of every key',
  async (point) => {
    writers = startWriters((key) => count(counters, key, log), keys, pauseMs)
    for (const pass of [3, 20]) {
      const { signal } = await startRelay({ FAULT_POINTS: `${point}=kill@${pass}` }).ended()
      expect(signal).toBe('SIGKILL')
    }
    startRelay()
    await writers.stop()
    await expectAllInOrder(log, await countersOf(database))
  },
)

test('two relays race for the same rows: nothing is lost, every key keeps its order', async () => {
  writers = startWriters((key) => count(counters, key, log), keys, pauseMs)
  startRelay()
  startRelay()
  const owner = await relayWithLease(relays)
  owner.signal('SIGKILL')
  await owner.ended()
  startRelay()
  await relayWithLease(relays.filter((relay) => relay !== owner))
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
})

test('an owner that was stopped beyond its lease goes on beside its successor: every key keeps its order', async () => {
  writers = startWriters((key) => count(counters, key, log), keys, pauseMs)
  // It stops between publish and delete, in the middle of its work, and not where it would wait anyway.
  const owner = startRelay({ FAULT_POINTS: 'relay.after-publish=pause:50' })
  await relayWithLease([owner])
  const both = [owner, startRelay()]
  for (let round = 0; round < 2; round += 1) {
    // On a busy machine a lease may have run out by itself: whoever has it now.
    const stopped = await relayWithLease(both)
    const others = both.filter((relay) => relay !== stopped)
    const before = stopped.output.length
    stopped.signal('SIGSTOP')
    await relayWithLease(others)
    stopped.signal('SIGCONT')
    await waitFor(() => !drainsNow(stopped) || hasSaid(stopped, drainsNoMore, before), {
      message: 'whoever was stopped finds out',
    })
  }
  await writers.stop()
  await expectAllInOrder(log, await countersOf(database))
})

async function relayWithLease(among: readonly RelayProcess[]): Promise<RelayProcess> {
  return await waitFor(() => among.find(drainsNow), {
    message: 'one of the relays has the lease',
  })
}

/** Whether its drain of Kafka said last that it drains. */
function drainsNow({ output }: RelayProcess): boolean {
  return (
    kafkaLines(output)
      .findLast((line) => line.includes('drains'))
      ?.includes(drains) === true
  )
}

function hasSaid({ output }: RelayProcess, text: string, from = 0): boolean {
  return kafkaLines(output.slice(from)).some((line) => line.includes(text))
}

function kafkaLines(output: string): string[] {
  return output.split('\n').filter((line) => line.includes('"kafka"'))
}
