import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { createGroupCommit } from './group-commit.ts'

/** A group commit whose runs end when the test says so. */
function controlled(options: { lanes?: number; groupMax?: number; waitingMax?: number } = {}) {
  const runs: { items: readonly string[]; end: (error?: Error) => void }[] = []
  const add = createGroupCommit<string, string>({
    lanes: 1,
    groupMax: 3,
    ...options,
    run: async (items) => {
      const ended = Promise.withResolvers<void>()
      runs.push({ items, end: (error) => (error ? ended.reject(error) : ended.resolve()) })
      await ended.promise
      return items.map((item) => item.toUpperCase())
    },
  })
  return { add, runs, groups: () => runs.map((run) => run.items.join('')) }
}

test('items of one turn of the event loop share a run, and each gets its own result', async () => {
  const { add, runs, groups } = controlled()
  const results = Promise.all(['a', 'b', 'c'].map(add))
  await nextTurn()
  expect(groups()).toEqual(['abc'])
  runs[0]?.end()
  expect(await results).toEqual(['A', 'B', 'C'])
})

test('what comes while all lanes are busy waits and goes into the next run, at most groupMax', async () => {
  const { add, runs, groups } = controlled()
  const first = add('a')
  await nextTurn()
  const others = Promise.all(['b', 'c', 'd', 'e'].map(add))
  await nextTurn()
  expect(groups()).toEqual(['a'])
  runs[0]?.end()
  await first
  await nextTurn()
  runs[1]?.end()
  await nextTurn()
  expect(groups()).toEqual(['a', 'bcd', 'e'])
  runs[2]?.end()
  expect(await others).toEqual(['B', 'C', 'D', 'E'])
})

test('a second lane takes what one cannot', async () => {
  const { add, runs, groups } = controlled({ lanes: 2 })
  const first = add('a')
  await nextTurn()
  const second = add('b')
  await nextTurn()
  expect(groups()).toEqual(['a', 'b'])
  for (const run of runs) run.end()
  expect(await Promise.all([first, second])).toEqual(['A', 'B'])
})

test('a group that fails runs again one by one, so that only the broken item fails', async () => {
  const add = createGroupCommit<string, string>({
    lanes: 1,
    groupMax: 10,
    run: async (items) => {
      if (items.includes('broken')) throw new Error('cannot')
      return items.map((item) => item.toUpperCase())
    },
  })
  const results = await Promise.allSettled(['a', 'broken', 'c'].map(add))
  expect(results).toMatchObject([
    { value: 'A' },
    { status: 'rejected', reason: { message: 'cannot' } },
    { value: 'C' },
  ])
})

test('a group whose connection was lost fails at once, without waiting for one item after the other', async () => {
  const { add, runs, groups } = controlled()
  const results = Promise.allSettled(['a', 'b'].map(add))
  await nextTurn()
  runs[0]?.end(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
  expect((await results).map((result) => result.status)).toEqual(['rejected', 'rejected'])
  expect(groups()).toEqual(['ab'])
})

test('beyond waitingMax items are refused', async () => {
  const { add, runs } = controlled({ waitingMax: 2 })
  const first = add('a')
  await nextTurn()
  const waiting = [add('b'), add('c')]
  await expect(add('d')).rejects.toMatchObject({ code: 'overloaded' })
  runs[0]?.end()
  await first
  await nextTurn()
  runs[1]?.end()
  expect(await Promise.all(waiting)).toEqual(['B', 'C'])
})

test('what has waited longer than waitMsMax is refused and never runs', async () => {
  const ran: string[] = []
  const ended = Promise.withResolvers<void>()
  const add = createGroupCommit<string, string>({
    lanes: 1,
    groupMax: 10,
    waitMsMax: -1,
    run: async (items) => {
      ran.push(...items)
      await ended.promise
      return items
    },
  })
  await expect(add('a')).rejects.toMatchObject({ code: 'overloaded' })
  expect(ran).toEqual([])
})

test('under load groups begin apart, so that each is larger; what fills a group does not wait', async () => {
  const sizes: number[] = []
  const add = createGroupCommit<number, number>({
    lanes: 1,
    groupMax: 500,
    run: async (items) => {
      sizes.push(items.length)
      return items
    },
  })
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] })
  try {
    // Two thousand in a moment are a rate at which a group waits; one item in each turn of the event loop follows.
    await Promise.all(Array.from({ length: 2000 }, (_, index) => add(index)))
    expect(sizes).toEqual([500, 500, 500, 500])
    const late: Promise<number>[] = []
    for (let index = 0; index < 20; index += 1) {
      late.push(add(index))
      await nextTurn()
    }
    expect(sizes).toHaveLength(4)
    await vi.advanceTimersByTimeAsync(15)
    await Promise.all(late)
    expect(sizes).toEqual([500, 500, 500, 500, 20])
  } finally {
    vi.useRealTimers()
  }
})
