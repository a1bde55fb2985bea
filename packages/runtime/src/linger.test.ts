import { expect, test } from 'vitest'
import { Linger } from './linger.ts'

/** What is waited after `seconds` of `perSecond` pieces, taken in batches `everyMs` apart. */
function waitAfter(perSecond: number, everyMs: number, seconds = 2): number {
  const linger = new Linger({ msPerThousand: 5, maxMs: 15 })
  const endMs = seconds * 1000
  for (let nowMs = 0; nowMs < endMs; nowMs += everyMs)
    linger.note((perSecond * everyMs) / 1000, nowMs)
  return linger.waitMs(endMs)
}

test('an idle loop does not wait', () => {
  const linger = new Linger({ msPerThousand: 5, maxMs: 15 })
  expect(linger.waitMs(0)).toBe(0)
  linger.note(1, 0)
  expect(linger.waitMs(0)).toBeLessThan(0.1)
})

test('the wait grows with the rate, up to its bound', () => {
  expect(waitAfter(200, 1)).toBeCloseTo(1, 1)
  expect(waitAfter(1000, 1)).toBeCloseTo(5, 1)
  expect(waitAfter(2000, 1)).toBeCloseTo(10, 1)
  expect(waitAfter(50_000, 1)).toBe(15)
})

test('it follows the rate, not what one batch brought: few large batches wait like many small ones', () => {
  expect(waitAfter(1000, 10)).toBeCloseTo(waitAfter(1000, 1), 0)
})

test('what comes after a quiet second is not made to wait', () => {
  const linger = new Linger({ msPerThousand: 5, maxMs: 15 })
  for (let nowMs = 0; nowMs < 1000; nowMs += 1) linger.note(5, nowMs)
  expect(linger.waitMs(1000)).toBe(15)
  expect(linger.waitMs(2000)).toBeLessThan(1)
})
