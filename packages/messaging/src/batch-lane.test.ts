import { AppError, createLogger } from '@edp/runtime'
import { expect, test } from 'vitest'
import { BatchLane, type BatchLaneOptions, chunksOf, type Delivery } from './batch-lane.ts'
import type { IncomingMessage } from './incoming-message.ts'

const logger = createLogger('lane', 'silent')
const nothingNow = new AppError('paused', 'nothing can be handled now', {
  retry: 'transient-everything',
})

test('deliveries of one tick are one batch, and each is settled after it', async () => {
  const { lane, batches } = laneWith(async () => undefined)
  const [one, two] = [delivery('a', 2), delivery('b', 3)]
  await Promise.all([lane.take(one), lane.take(two)])
  expect(batches).toEqual([['a0', 'a1', 'b0', 'b1', 'b2']])
  expect([one.settled, two.settled]).toEqual([[2], [3]])
})

test('one batch runs at a time; what arrives meanwhile is the next one', async () => {
  let running = 0
  let most = 0
  const { lane, batches } = laneWith(async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise(setImmediate)
    running -= 1
  })
  const first = lane.take(delivery('a', 1))
  await new Promise(setImmediate)
  await Promise.all([first, lane.take(delivery('b', 1)), lane.take(delivery('c', 1))])
  expect(most).toBe(1)
  expect(batches).toEqual([['a0'], ['b0', 'c0']])
})

test('a batch is cut at the limit, in order, and what is done of a delivery is settled by then', async () => {
  const { lane, batches } = laneWith(async () => undefined, { batchMessagesMax: 2 })
  const one = delivery('a', 5)
  await lane.take(one)
  expect(batches).toEqual([['a0', 'a1'], ['a2', 'a3'], ['a4']])
  expect(one.settled).toEqual([2, 4, 5])
})

test('too many messages go into two batches at a time, and a partition is never in both', async () => {
  let most = 0
  const running = new Set<string>()
  const { lane, batches } = laneWith(
    async (batch) => {
      const partitions = new Set(batch.map((message) => nameOf(message).slice(0, 1)))
      for (const partition of partitions) {
        expect(running.has(partition)).toBe(false)
        running.add(partition)
      }
      most = Math.max(most, running.size)
      await new Promise(setImmediate)
      for (const partition of partitions) running.delete(partition)
    },
    { batchMessagesMax: 3 },
  )
  const all = [delivery('a', 7), delivery('b', 5), delivery('c', 1), delivery('d', 2)]
  await Promise.all(all.map((one) => lane.take(one)))
  expect(all.map(({ settled }) => settled.at(-1))).toEqual([7, 5, 1, 2])
  for (const name of ['a', 'b', 'c', 'd']) {
    const ofPartition = batches.flat().filter((message) => message.startsWith(name))
    expect(ofPartition).toEqual(ofPartition.toSorted())
  }
  expect(most).toBeGreaterThan(1)
})

test('a batch that nothing can be done about is tried again until it is handled', async () => {
  let refusals = 3
  const { lane, batches } = laneWith(async () => {
    if (refusals-- > 0) throw nothingNow
  })
  const one = delivery('a', 1)
  await lane.take(one)
  expect(batches).toEqual([['a0'], ['a0'], ['a0'], ['a0']])
  expect(one.settled).toEqual([1])
  expect(lane.report()).toEqual({ status: 'ok' })
})

test('an interrupt gives up the batch that is being tried again, unsettled, and the next one is taken', async () => {
  let refuse = true
  const { lane, batches } = laneWith(async () => {
    if (refuse) throw nothingNow
  })
  const one = delivery('a', 1)
  const taken = lane.take(one)
  await expect.poll(() => lane.report().status).toBe('degraded')
  lane.interrupt()
  await taken
  expect(one.settled).toEqual([])
  refuse = false
  await lane.take(delivery('b', 1))
  expect(batches.at(-1)).toEqual(['b0'])
})

test('no error ends it: the batch is tried again, and then the next one is taken', async () => {
  let failures = 2
  const { lane, batches } = laneWith(async () => {
    if (failures-- > 0) throw new TypeError('a bug')
  })
  const one = delivery('a', 1)
  await lane.take(one)
  await lane.take(delivery('b', 1))
  expect(batches).toEqual([['a0'], ['a0'], ['a0'], ['b0']])
  expect(one.settled).toEqual([1])
})

test('a stop waits for the batch that runs and settles it', async () => {
  const working = Promise.withResolvers<void>()
  const { lane } = laneWith(() => working.promise)
  const one = delivery('a', 1)
  const taken = lane.take(one)
  await new Promise(setImmediate)
  const stopped = lane.stop()
  working.resolve()
  await Promise.all([stopped, taken])
  expect(one.settled).toEqual([1])
  await lane.take(delivery('b', 1))
})

test('handling without an end is unhealthy', async () => {
  const working = Promise.withResolvers<void>()
  const { lane } = laneWith(() => working.promise, { stallMs: 1 })
  const taken = lane.take(delivery('a', 1))
  await expect.poll(() => lane.report().status).toBe('unhealthy')
  working.resolve()
  await taken
  expect(lane.report().status).toBe('ok')
})

test('chunks hold all messages once, in order, none of them above the limit', () => {
  const deliveries = [delivery('a', 3), delivery('b', 0), delivery('c', 7)]
  const chunks = chunksOf(deliveries, 4)
  expect(chunks.map((chunk) => chunk.flatMap((slice) => slice.messages.map(nameOf)))).toEqual([
    ['a0', 'a1', 'a2', 'c0'],
    ['c1', 'c2', 'c3', 'c4'],
    ['c5', 'c6'],
  ])
})

test('rests after each batch for as long as its share says, with the batch settled before', async () => {
  const rested: number[] = []
  const share = {
    took: () => undefined,
    restMs: () => {
      rested.push(one.settled.length)
      return 20
    },
  }
  const { lane, batches } = laneWith(async () => undefined, { batchMessagesMax: 2, share })
  const one = delivery('a', 3)
  const startedAt = performance.now()
  await lane.take(one)
  expect(performance.now() - startedAt).toBeGreaterThan(35)
  expect(batches).toEqual([['a0', 'a1'], ['a2']])
  expect(rested).toEqual([1, 2])
})

test('a stop ends a rest', async () => {
  const share = { took: () => undefined, restMs: () => 3_600_000 }
  const { lane, batches } = laneWith(async () => undefined, { batchMessagesMax: 1, share })
  const one = delivery('a', 2)
  const taken = lane.take(one)
  while (one.settled.length === 0) await new Promise(setImmediate)
  await lane.stop()
  await taken
  expect(batches).toEqual([['a0']])
  expect(one.settled).toEqual([1])
})

function laneWith(
  handle: (batch: readonly IncomingMessage[]) => Promise<void>,
  options: Partial<BatchLaneOptions> = {},
): { lane: BatchLane; batches: string[][] } {
  const batches: string[][] = []
  const lane = new BatchLane({
    pipeline: {
      handle: (batch) => {
        batches.push(batch.map(nameOf))
        return handle(batch)
      },
    },
    logger,
    lingerMsMax: 0,
    ...options,
  })
  return { lane, batches }
}

function delivery(name: string, messages: number): Delivery & { settled: number[] } {
  const settled: number[] = []
  return {
    messages: Array.from({ length: messages }, (_, index) => ({
      transport: 'kafka',
      position: `${name}${index}`,
      headers: {},
      body: new Uint8Array(),
    })),
    settle: (count) => settled.push(count),
    settled,
  }
}

function nameOf({ position }: IncomingMessage): string {
  return position
}
