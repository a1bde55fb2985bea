import type { DeadLetterReason } from '@edp/event-schemas'
import { type Backoff, fullJitter } from '@edp/runtime'
import type { Failure } from './failure.ts'

/** What a consumer does with messages that fail. */
export interface RetryPolicy {
  /** How often a message is tried before it is dead. */
  readonly attemptsMax: number
  /** The waits between the tries: exponential, with full jitter. */
  readonly backoff: Backoff
  /**
   * Whether later messages of a key overtake one that is parked. `skip`: the consumer is right in any order, and an undo must never
   * wait behind its own dead do. `hold-key`: they wait behind it.
   */
  readonly order: 'skip' | 'hold-key'
  /** How long a message of a version that is not known here waits for a process that knows it. */
  readonly unknownVersionMaxMs: number
}

const aDayMs = 24 * 60 * 60 * 1000

/** Ten tries within some five minutes, in any order. */
export const defaultRetryPolicy: RetryPolicy = {
  attemptsMax: 10,
  backoff: { baseMs: 1000, capMs: 60_000 },
  order: 'skip',
  unknownVersionMaxMs: aDayMs,
}

/** Longer than anybody means, so that a nonsensical Retry-After does not stop a message for good. */
const retryAfterMaxMs = 60 * 60 * 1000

/** What became of a message until now. */
export interface Past {
  /** Failures that counted. */
  readonly attempts: number
  readonly firstFailedAt: Date
}

/** What becomes of a message that has failed. */
export type Verdict =
  | { readonly status: 'retrying'; readonly attempts: number; readonly delayMs: number }
  | { readonly status: 'dead'; readonly attempts: number; readonly reason: DeadLetterReason }

/** Pure but for `random`: whether a message that has failed is tried again, and when. */
export function afterFailure(
  policy: RetryPolicy,
  past: Past,
  failure: Failure,
  { now, random = Math.random }: { now: Date; random?: () => number },
): Verdict {
  const { attemptsMax, backoff, unknownVersionMaxMs } = policy
  if (failure.reason === 'unknown-version') {
    const { attempts } = past
    const waitedMs = now.getTime() - past.firstFailedAt.getTime()
    if (waitedMs >= unknownVersionMaxMs) {
      return { status: 'dead', attempts, reason: failure.reason }
    }
    // It waits for a deployment and not for a service to recover: no use in asking often, nor ever less often.
    const delayMs = Math.max(backoff.baseMs, Math.round(random() * backoff.capMs))
    return { status: 'retrying', attempts, delayMs }
  }
  const attempts = past.attempts + 1
  if (failure.class === 'permanent') return { status: 'dead', attempts, reason: failure.reason }
  if (attempts >= attemptsMax) return { status: 'dead', attempts, reason: 'attempts-exhausted' }
  const askedMs = Math.min(failure.retryAfterMs ?? 0, retryAfterMaxMs)
  const delayMs = Math.max(askedMs, fullJitter({ attempt: attempts, random, ...backoff }))
  return { status: 'retrying', attempts, delayMs }
}
