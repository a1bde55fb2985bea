import type { DrainBounds } from './bounds.ts'

/** How long nothing has come. */
interface Emptiness {
  /** The wait before; 0 when the last fetch brought rows. */
  readonly lastMs: number
  /** Since the last row. */
  readonly idleMs: number
}

/**
 * The wait after a fetch that brought nothing: doubles from `pollMinMs` to `pollMaxMs`, and goes on to `pollIdleMaxMs` with how long
 * nothing has come. So the first row after a pause is late by a hundredth of that pause at most, and an outbox that nobody
 * writes to is read a fifth as often.
 */
export function emptyWaitMs(
  bounds: Pick<DrainBounds, 'pollMinMs' | 'pollMaxMs' | 'pollIdleMaxMs'>,
  { lastMs, idleMs }: Emptiness,
): number {
  const { pollMinMs, pollMaxMs, pollIdleMaxMs } = bounds
  const longest = Math.min(pollIdleMaxMs, Math.max(pollMaxMs, idleMs / 100))
  return Math.min(longest, Math.max(pollMinMs, lastMs * 2))
}
