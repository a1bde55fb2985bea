import { AppError } from '@edp/runtime'
import { describe, expect, test } from 'vitest'
import { failureOf } from './failure.ts'
import { afterFailure, type RetryPolicy } from './retry-policy.ts'

const policy: RetryPolicy = {
  attemptsMax: 3,
  backoff: { baseMs: 100, capMs: 1000 },
  order: 'skip',
  unknownVersionMaxMs: 60_000,
}
const now = new Date('2026-03-01T12:00:00Z')
const past = (attempts: number, ageMs = 0) => ({
  attempts,
  firstFailedAt: new Date(now.getTime() - ageMs),
})
const transient = failureOf(new Error('not this time'))
const permanent = failureOf(new AppError('broken', 'never', { retry: 'permanent' }))
const unknownVersion = failureOf(new AppError('unknown-version', 'v2', { retry: 'permanent' }))
const last = { now, random: () => 1 }

describe('a message that failed', () => {
  test('is tried again with a growing wait, up to the cap, until its attempts are used', () => {
    const waits = [0, 1].map((attempts) => afterFailure(policy, past(attempts), transient, last))
    expect(waits).toEqual([
      { status: 'retrying', attempts: 1, delayMs: 100 },
      { status: 'retrying', attempts: 2, delayMs: 200 },
    ])
    expect(afterFailure(policy, past(2), transient, last)).toEqual({
      status: 'dead',
      attempts: 3,
      reason: 'attempts-exhausted',
    })
    const patient = { ...policy, attemptsMax: 100 }
    expect(afterFailure(patient, past(50), transient, last)).toMatchObject({ delayMs: 1000 })
  })

  test('waits as long as it was asked to, and not for ever', () => {
    const asked = (retryAfterMs: number) =>
      failureOf(new AppError('busy', 'later', { retry: 'transient-message', retryAfterMs }))
    expect(afterFailure(policy, past(0), asked(5000), last)).toMatchObject({ delayMs: 5000 })
    const hour = 3_600_000
    expect(afterFailure(policy, past(0), asked(9e9), last)).toMatchObject({ delayMs: hour })
  })

  test('for good is dead at once', () => {
    expect(afterFailure(policy, past(0), permanent, last)).toEqual({
      status: 'dead',
      attempts: 1,
      reason: 'permanent',
    })
  })

  test('for its version waits without attempts, and is dead after its time', () => {
    const waiting = afterFailure(policy, past(0, 59_999), unknownVersion, last)
    expect(waiting).toEqual({ status: 'retrying', attempts: 0, delayMs: 1000 })
    const soonest = afterFailure(policy, past(0), unknownVersion, { now, random: () => 0 })
    expect(soonest).toMatchObject({ delayMs: 100 })
    expect(afterFailure(policy, past(0, 60_000), unknownVersion, last)).toEqual({
      status: 'dead',
      attempts: 0,
      reason: 'unknown-version',
    })
  })
})
