import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'

/** How `waitFor` waits. */
export type WaitOptions<T> = {
  /** What is waited for, for the error: "the order is confirmed". */
  message: string
  /** When the value is the one that is waited for; truthy unless told. */
  until?: (value: T) => boolean
  /** 30,000 unless told: more than twice what a group waits for a Kafka consumer that was killed, 10 s, and the rebalance after it. */
  timeoutMs?: number
  intervalMs?: number
}

/** What `waitFor` gives: without `until` it waited for a truthy value. */
type Awaited<T> = Exclude<T, undefined | null | false>

/**
 * Asks `probe` again and again until its value is the one that is waited for, and gives that value. A probe that throws
 * is asked again: a server that restarts refuses connections meanwhile.
 * @throws Error with what was waited for and the last value, or the last error as cause
 */
export async function waitFor<T>(
  probe: () => T | Promise<T>,
  options: WaitOptions<T> & { until: (value: T) => boolean },
): Promise<T>
export async function waitFor<T>(
  probe: () => T | Promise<T>,
  options: WaitOptions<T>,
): Promise<Awaited<T>>
export async function waitFor<T>(probe: () => T | Promise<T>, options: WaitOptions<T>): Promise<T> {
  const { message, until = Boolean, timeoutMs = 30_000, intervalMs = 20 } = options
  const deadline = performance.now() + timeoutMs
  let last: { value?: T; error?: unknown } = {}
  do {
    last = await ask(probe)
    if ('value' in last && last.value !== undefined && until(last.value)) return last.value
    await delay(intervalMs)
  } while (performance.now() < deadline)
  const seen =
    'error' in last ? `it threw ${String(last.error)}` : `last value: ${show(last.value)}`
  throw new Error(`waited ${timeoutMs} ms for: ${message}; ${seen}`, { cause: last.error })
}

async function ask<T>(probe: () => T | Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await probe() }
  } catch (error) {
    return { error }
  }
}

function show(value: unknown): string {
  return inspect(value, { depth: 6, breakLength: 120, maxStringLength: 2000, maxArrayLength: 50 })
}
