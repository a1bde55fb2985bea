import { type AppError, type Backoff, fullJitter } from '@edp/runtime'

/** A destination that takes nothing at the moment. */
export interface Pause {
  readonly destination: string
  /** Every row of the destination that was not delivered has this id or a higher one. */
  readonly resumeFrom: number
  readonly error: AppError
  readonly attempts: number
  /** When it is tried again, on the monotonic clock. */
  readonly dueMs: number
}

/** The destinations that are paused. No attempt is counted against a row, nothing becomes dead. */
export class Pauses {
  readonly #byDestination = new Map<string, Pause>()
  readonly #backoff: Backoff

  constructor(backoff: Backoff) {
    this.#backoff = backoff
  }

  get size(): number {
    return this.#byDestination.size
  }

  get destinations(): string[] {
    return [...this.#byDestination.keys()]
  }

  get all(): Pause[] {
    return [...this.#byDestination.values()]
  }

  has(destination: string): boolean {
    return this.#byDestination.has(destination)
  }

  /** Pauses a destination, or pauses it again after a failed try, and longer. */
  pause(failed: {
    destination: string
    resumeFrom: number
    error: AppError
    nowMs: number
  }): Pause {
    const { destination, error, nowMs } = failed
    const before = this.#byDestination.get(destination)
    const attempts = (before?.attempts ?? 0) + 1
    const resumeFrom = Math.min(failed.resumeFrom, before?.resumeFrom ?? failed.resumeFrom)
    const waitMs = fullJitter({ attempt: attempts, ...this.#backoff })
    const dueMs = nowMs + Math.max(waitMs, error.retryAfterMs ?? 0)
    const pause = { destination, resumeFrom, error, attempts, dueMs }
    this.#byDestination.set(destination, pause)
    return pause
  }

  /** One that may be tried again. */
  due(nowMs: number): Pause | undefined {
    return this.all.find((pause) => pause.dueMs <= nowMs)
  }

  /** How long until one is due; undefined when none is paused. */
  untilDueMs(nowMs: number): number | undefined {
    if (this.size === 0) return undefined
    return Math.max(0, Math.min(...this.all.map((pause) => pause.dueMs)) - nowMs)
  }

  /** Rows that were put back may lie anywhere: nothing is known any more of what lies before. */
  forgetWhereToResume(): void {
    for (const pause of this.all) {
      this.#byDestination.set(pause.destination, { ...pause, resumeFrom: 1 })
    }
  }

  resume(destination: string): void {
    this.#byDestination.delete(destination)
  }
}
