import { constants } from 'node:os'
import type { System } from './system.ts'

const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Starts a system, works with it and stops it, whatever comes of the work. A signal that ends this process does so only when the
 * system is stopped, so that nothing is left behind: no process, database, topic or queue. One that comes while the system starts
 * waits until it has; a second one ends the process at once. `interrupted` tells the work that nobody waits for it any more.
 */
export async function withSystem<T>(
  start: () => Promise<System>,
  work: (system: System, interrupted: AbortSignal) => Promise<T>,
): Promise<T> {
  const interruption = new AbortController()
  const ended = Promise.withResolvers<never>()
  // Nobody may be waiting yet when it comes.
  ended.promise.catch(() => undefined)
  let exitCode: number | undefined
  const onSignal = (signal: (typeof endingSignals)[number]): void => {
    exitCode = 128 + constants.signals[signal]
    for (const one of endingSignals) process.off(one, onSignal)
    console.error('Stopping ...')
    interruption.abort()
    ended.reject(new Error(`ended by ${signal}`))
  }
  for (const signal of endingSignals) process.on(signal, onSignal)
  try {
    const system = await start()
    try {
      return await Promise.race([work(system, interruption.signal), ended.promise])
    } finally {
      await system.stop()
    }
  } catch (error) {
    // What was under way may have failed over the signal, which the services get too in a terminal.
    if (exitCode !== undefined) process.exit(exitCode)
    throw error
  } finally {
    for (const signal of endingSignals) process.off(signal, onSignal)
  }
}
