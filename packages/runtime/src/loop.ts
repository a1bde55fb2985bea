import { type Backoff, fullJitter } from './backoff.ts'
import type { HealthReport } from './health.ts'
import type { Component } from './lifecycle.ts'
import type { Logger } from './logger.ts'

/** Work that runs again and again: a poll for due rows, a heartbeat. */
export type Loop = Component & {
  /** Runs the work now, or once more after the run that is under way. */
  poke(): void
  /** Degraded while the last run failed. */
  report(): HealthReport
}

/** What `createLoop` needs. */
export type LoopOptions = {
  name: string
  /** The wait between the end of a run and the next one. */
  intervalMs: number
  /** One run. `'again'` asks for the next one at once: there was more than one batch. */
  work: (signal: AbortSignal) => Promise<'again' | void>
  logger: Logger
  /** The wait after failures. */
  backoff?: Backoff
}

/**
 * A loop that never overlaps with itself and never ends by itself: a failed run is logged and tried
 * again with backoff. `stop` aborts the signal and waits for the run that is under way.
 */
export function createLoop(options: LoopOptions): Loop {
  const { name, intervalMs, work, logger, backoff = { baseMs: 100, capMs: 10_000 } } = options
  const stopping = new AbortController()
  let running: Promise<void> | undefined
  let poked = false
  let wake = (): void => undefined
  let failures = 0
  let lastError: unknown

  async function pause(ms: number): Promise<void> {
    if (poked || stopping.signal.aborted) return
    const woken = Promise.withResolvers<void>()
    wake = woken.resolve
    const timer = setTimeout(woken.resolve, ms)
    await woken.promise
    clearTimeout(timer)
  }

  async function runOnce(): Promise<number> {
    poked = false
    try {
      const next = await work(stopping.signal)
      if (failures > 0) logger.info({ loop: name, failures }, 'works again')
      failures = 0
      return next === 'again' ? 0 : intervalMs
    } catch (error) {
      if (stopping.signal.aborted) return 0
      failures += 1
      lastError = error
      const delayMs = fullJitter({ attempt: failures, ...backoff })
      logger.error({ err: error, loop: name, failures, delayMs }, 'run failed, will be tried again')
      return delayMs
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await pause(await runOnce())
    }
  }

  return {
    name,
    async start() {
      running ??= run()
    },
    async stop() {
      stopping.abort(new Error(`loop ${name} is stopping`))
      wake()
      await running
    },
    poke() {
      poked = true
      wake()
    },
    report() {
      if (failures === 0) return { status: 'ok' }
      return { status: 'degraded', detail: `${failures} failed runs: ${String(lastError)}` }
    },
  }
}
