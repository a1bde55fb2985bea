import { expect, test } from 'vitest'
import { type FailedTry, fullJitter, sleep, untilDone } from './backoff.ts'

test('the wait lies between nothing and a bound that doubles up to the cap', () => {
  const bounds = [1, 2, 3, 4, 5, 60].map((attempt) =>
    fullJitter({ attempt, baseMs: 100, capMs: 1000, random: () => 1 }),
  )
  expect(bounds).toEqual([100, 200, 400, 800, 1000, 1000])
  expect(fullJitter({ attempt: 5, baseMs: 100, capMs: 1000, random: () => 0 })).toBe(0)
})

test('work is tried until it succeeds, and every failure is told', async () => {
  const failures: FailedTry[] = []
  let runs = 0
  const result = await untilDone(
    async () => {
      runs += 1
      if (runs < 3) throw new Error(`failure ${runs}`)
      return 'done'
    },
    {
      signal: new AbortController().signal,
      baseMs: 1,
      capMs: 2,
      onError: (failed) => failures.push(failed),
    },
  )
  expect(result).toBe('done')
  expect(failures.map(({ error, attempt }) => [String(error), attempt])).toEqual([
    ['Error: failure 1', 1],
    ['Error: failure 2', 2],
  ])
})

test('an abort ends the wait between tries with its reason', async () => {
  const controller = new AbortController()
  const work = untilDone(() => Promise.reject(new Error('down')), {
    signal: controller.signal,
    baseMs: 3_600_000,
    capMs: 3_600_000,
    onError: () => queueMicrotask(() => controller.abort(new Error('stopping'))),
  })
  await expect(work).rejects.toThrow('stopping')
})

test('a caller ends the tries by throwing from onError', async () => {
  const work = untilDone(() => Promise.reject(new Error('bad request')), {
    signal: new AbortController().signal,
    baseMs: 1,
    capMs: 1,
    onError: ({ error }) => {
      throw error
    },
  })
  await expect(work).rejects.toThrow('bad request')
})

test('sleep rejects at once when the signal has aborted before', async () => {
  await expect(sleep(3_600_000, AbortSignal.abort(new Error('over')))).rejects.toThrow('over')
})
