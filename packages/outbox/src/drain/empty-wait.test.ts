import { expect, test } from 'vitest'
import { defaultBounds } from './bounds.ts'
import { emptyWaitMs } from './empty-wait.ts'

/** The waits of an outbox that nobody writes to, each with the time at which it begins. */
function* waits(): Generator<{ idleMs: number; waitMs: number }> {
  let waitMs = 0
  for (let idleMs = 0; ; idleMs += waitMs) {
    waitMs = emptyWaitMs(defaultBounds, { lastMs: waitMs, idleMs })
    yield { idleMs, waitMs }
  }
}

test('doubles, then grows with the pause', () => {
  const at = (lastMs: number, idleMs: number) => emptyWaitMs(defaultBounds, { lastMs, idleMs })
  expect([at(0, 0), at(2, 2), at(4, 6), at(16, 30), at(20, 50)]).toEqual([2, 4, 8, 20, 20])
  expect([at(20, 2000), at(20, 3000), at(100, 9000), at(100, 3_600_000)]).toEqual([20, 30, 90, 100])
})

test('a first row is late by a hundredth of the pause before it at most, beyond the 20 ms of every row', () => {
  for (const { idleMs, waitMs } of waits()) {
    if (idleMs > 60_000) break
    expect(waitMs).toBeLessThanOrEqual(Math.max(20, idleMs / 100))
  }
})
