import type { Logger } from './logger.ts'

/**
 * Something with a lifetime. `stop` may be called at any time and more than once: before a start,
 * during one (which it ends), and after a stop.
 */
export type Component = { name: string; start(): Promise<void>; stop(): Promise<void> }

/** Starts and stops components as one. */
export type Lifecycle = {
  /** Starts all in order. Returns early, without an error, when `stop` is called meanwhile. */
  start(): Promise<void>
  /** Stops what was started, in reverse order. A second call gets the first one's promise. */
  stop(): Promise<void>
}

/**
 * Starts in the order given and stops in reverse order. A start that fails stops what was started,
 * itself included, and rejects with the cause. A stop that fails does not keep the others from stopping; it rejects
 * at the end, or when `shutdownTimeoutMs` is over.
 */
export function createLifecycle(
  components: readonly Component[],
  options: { logger: Logger; shutdownTimeoutMs: number },
): Lifecycle {
  const { logger, shutdownTimeoutMs } = options
  const started: Component[] = []
  let starting: Component | undefined
  let running: Promise<void> | undefined
  let stopped: Promise<void> | undefined

  async function startAll(): Promise<void> {
    for (const component of components) {
      if (stopped !== undefined) return
      starting = component
      const startedAt = performance.now()
      await component.start()
      starting = undefined
      started.push(component)
      const tookMs = Math.round(performance.now() - startedAt)
      logger.debug({ component: component.name, tookMs }, 'started')
    }
  }

  async function stopAll(): Promise<void> {
    const failures: unknown[] = []
    const interrupted = starting
    if (interrupted !== undefined) await stopOne(interrupted, failures)
    // The start has been told to end; what it started in its last moment is in `started` after this.
    await running?.catch(() => undefined)
    for (let component = started.pop(); component !== undefined; component = started.pop()) {
      await stopOne(component, failures)
    }
    if (failures.length > 0) throw new AggregateError(failures, 'components failed to stop')
  }

  async function stopOne(component: Component, failures: unknown[]): Promise<void> {
    try {
      await component.stop()
      logger.debug({ component: component.name }, 'stopped')
    } catch (error) {
      logger.error({ err: error, component: component.name }, 'failed to stop')
      failures.push(error)
    }
  }

  return {
    async start() {
      running ??= startAll()
      try {
        await running
      } catch (error) {
        // A start that a stop interrupts may well fail; it is the stop's answer that counts then.
        if (stopped !== undefined) return
        stopped = within(shutdownTimeoutMs, stopAll())
        await stopped.catch((stopError: unknown) =>
          logger.error({ err: stopError }, 'after a failed start'),
        )
        throw error
      }
    },
    stop() {
      stopped ??= within(shutdownTimeoutMs, stopAll())
      return stopped
    },
  }
}

async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`did not stop within ${timeoutMs} ms`)),
    timeoutMs,
  )
  try {
    await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
