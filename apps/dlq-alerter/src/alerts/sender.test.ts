import { expect, test } from 'vitest'
import type { Delivery } from './channels/channel.ts'
import { outcomeOf } from './sender.ts'

const bounds = {
  backoff: { baseMs: 1000, capMs: 60_000 },
  retryAfterMaxMs: 600_000,
  attemptsMax: 10,
}

const after = (delivery: Delivery, attempts: number) =>
  outcomeOf({ delivery, attempts, bounds, random: () => 1 })
const later: Delivery = { kind: 'later', reason: 'HTTP 500' }

test('the wait doubles up to a minute', () => {
  const waits = [1, 2, 3, 6, 7, 9].map((attempts) => {
    const outcome = after(later, attempts)
    return outcome.status === 'pending' ? outcome.delayMs : undefined
  })
  expect(waits).toEqual([1000, 2000, 4000, 32_000, 60_000, 60_000])
})

test('Retry-After is waited for, with jitter on top, and holds for the whole channel', () => {
  expect(after({ ...later, retryAfterMs: 30_000 }, 1)).toEqual({
    status: 'pending',
    delayMs: 31_000,
    pausesChannel: true,
  })
})

test('a Retry-After of a century is ten minutes', () => {
  expect(after({ ...later, retryAfterMs: 3e12 }, 1)).toMatchObject({ delayMs: 601_000 })
})

test('what is refused for good, or tried too often, fails', () => {
  const failed = { status: 'failed' }
  expect(after({ kind: 'refused', reason: 'HTTP 400' }, 1)).toEqual(failed)
  expect(after(later, 9)).toMatchObject({ status: 'pending' })
  expect(after(later, 10)).toEqual(failed)
})
