import { AppError } from '@edp/runtime'
import { expect, test } from 'vitest'
import { Pauses } from './pauses.ts'

const error = new AppError('away', 'away', { retry: 'transient-everything', retryAfterMs: 50 })
const backoff = { baseMs: 10, capMs: 100 }

test('a destination waits at least as long as the broker asked for', () => {
  const pauses = new Pauses(backoff)
  pauses.pause({ destination: 'orders', resumeFrom: 5, error, nowMs: 1000 })
  expect(pauses.due(1049)).toBeUndefined()
  expect(pauses.due(1100)?.destination).toBe('orders')
  expect(pauses.untilDueMs(1040)).toBeGreaterThanOrEqual(10)
})

test('one that fails again keeps the lowest id that it has to resume from', () => {
  const pauses = new Pauses(backoff)
  pauses.pause({ destination: 'orders', resumeFrom: 5, error, nowMs: 0 })
  const again = pauses.pause({ destination: 'orders', resumeFrom: 9, error, nowMs: 0 })
  expect([again.resumeFrom, again.attempts, pauses.size]).toEqual([5, 2, 1])
})

test('nothing is due when nothing is paused', () => {
  const pauses = new Pauses(backoff)
  pauses.pause({ destination: 'orders', resumeFrom: 5, error, nowMs: 0 })
  pauses.resume('orders')
  expect([pauses.due(1e9), pauses.untilDueMs(0), pauses.size]).toEqual([undefined, undefined, 0])
})
