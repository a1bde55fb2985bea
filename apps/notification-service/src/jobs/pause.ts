import { type Backoff, fullJitter, type HealthReport } from '@edp/runtime'

/** How long to leave alone what is away: longer each time, until something gets through. */
export class Pause {
  readonly #backoff: Backoff
  #failures = 0
  #until = 0
  #reason = ''

  constructor(backoff: Backoff) {
    this.#backoff = backoff
  }

  /** Something is away. @returns how long to wait, in ms */
  begin(reason: string, now: number): number {
    this.#reason = reason
    // What was under way when it went away fails one after the other: that is one failure.
    if (now >= this.#until) {
      this.#failures += 1
      const waitMs = fullJitter({ ...this.#backoff, attempt: this.#failures })
      this.#until = now + Math.max(this.#backoff.baseMs, waitMs)
    }
    return Math.max(1, this.#until - now)
  }

  /** Something got through. */
  end(): void {
    this.#failures = 0
    this.#until = 0
  }

  report(): HealthReport {
    if (this.#failures === 0) return { status: 'ok' }
    return { status: 'degraded', detail: `jobs wait: ${this.#reason}` }
  }
}
