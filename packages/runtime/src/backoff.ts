import { setTimeout as delay } from 'node:timers/promises'

/** The bounds of a backoff. */
export type Backoff = { baseMs: number; capMs: number }

/**
 * Full jitter: a random wait between 0 and the exponential bound, so that what failed together does
 * not come back together (AWS Architecture Blog, "Exponential Backoff And Jitter"). `attempt` counts
 * the failures so far, from 1.
 */
export function fullJitter(options: Backoff & { attempt: number; random?: () => number }): number {
  const { attempt, baseMs, capMs, random = Math.random } = options
  return Math.round(random() * Math.min(capMs, baseMs * 2 ** (attempt - 1)))
}

/** Waits. Rejects with the signal's reason when it aborts first. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) {
    await delay(ms)
    return
  }
  signal.throwIfAborted()
  await delay(ms, undefined, { signal }).catch((error: unknown) => {
    signal.throwIfAborted()
    throw error
  })
}

/** A failed try of `untilDone`. */
export type FailedTry = { error: unknown; attempt: number; delayMs: number }

/**
 * Runs `work` until it succeeds, with full jitter between the tries. Ends early only when `signal`
 * aborts (rejects with its reason) or `onError` throws, which is how a caller refuses to go on.
 */
export async function untilDone<T>(
  work: () => Promise<T>,
  options: Backoff & { signal: AbortSignal; onError: (failed: FailedTry) => void },
): Promise<T> {
  const { signal, baseMs, capMs, onError } = options
  for (let attempt = 1; ; attempt += 1) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      const delayMs = fullJitter({ attempt, baseMs, capMs })
      onError({ error, attempt, delayMs })
      await sleep(delayMs, signal)
    }
  }
}
