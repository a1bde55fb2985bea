import { expect, test } from 'vitest'
import { createLogger } from './logger.ts'
import { createLoop } from './loop.ts'

const logger = createLogger('test', 'silent')
const aDayMs = 86_400_000

test('runs at start, then when poked, and never overlaps with itself', async () => {
  let running = 0
  let runningMost = 0
  let runs = 0
  const loop = createLoop({
    name: 'due-work',
    intervalMs: aDayMs,
    logger,
    work: async () => {
      running += 1
      runningMost = Math.max(runningMost, running)
      runs += 1
      await new Promise((resolve) => setImmediate(resolve))
      running -= 1
    },
  })
  await loop.start()
  await expect.poll(() => runs).toBe(1)
  loop.poke()
  loop.poke()
  await expect.poll(() => runs).toBeGreaterThanOrEqual(2)
  await loop.stop()
  expect(runningMost).toBe(1)
  expect(runs).toBeLessThanOrEqual(3)
})

test('a poke during a run makes one more run, so nothing that became due is missed', async () => {
  const gate = Promise.withResolvers<void>()
  let runs = 0
  const loop = createLoop({
    name: 'due-work',
    intervalMs: aDayMs,
    logger,
    work: async () => {
      runs += 1
      if (runs === 1) await gate.promise
    },
  })
  await loop.start()
  loop.poke()
  gate.resolve()
  await expect.poll(() => runs).toBe(2)
  await loop.stop()
})

test('work that says there is more runs again at once', async () => {
  let left = 5
  const loop = createLoop({
    name: 'due-work',
    intervalMs: aDayMs,
    logger,
    work: async () => {
      left -= 1
      return left > 0 ? 'again' : undefined
    },
  })
  await loop.start()
  await expect.poll(() => left).toBe(0)
  await loop.stop()
})

test('a failed run is tried again, and the loop reports it until it works', async () => {
  let runs = 0
  const fixed = Promise.withResolvers<void>()
  let broken = true
  const loop = createLoop({
    name: 'due-work',
    intervalMs: aDayMs,
    logger,
    backoff: { baseMs: 1, capMs: 2 },
    work: async () => {
      runs += 1
      if (broken) throw new Error('database away')
      fixed.resolve()
    },
  })
  await loop.start()
  await expect.poll(() => runs).toBeGreaterThan(3)
  expect(loop.report()).toMatchObject({
    status: 'degraded',
    detail: expect.stringContaining('database away'),
  })
  broken = false
  await fixed.promise
  await expect.poll(() => loop.report()).toEqual({ status: 'ok' })
  await loop.stop()
})

test('stop ends the wait at once, aborts the signal, and waits for the run under way', async () => {
  let ended = false
  const entered = Promise.withResolvers<void>()
  const loop = createLoop({
    name: 'due-work',
    intervalMs: aDayMs,
    logger,
    work: async (signal) => {
      entered.resolve()
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      ended = true
    },
  })
  await loop.start()
  await entered.promise
  await loop.stop()
  await loop.stop()
  expect(ended).toBe(true)
})
