import { type Backoff, fullJitter, type HealthReport } from '@edp/runtime'
import type { ChargeAnswer, VoidAnswer } from './domain/payment.ts'
import type { Unreachable } from './gateway.ts'

/**
 * Whether the gateway may be called. It opens when the gateway cannot be reached; then one call at a time tries, with
 * backoff, until one gets through. What waits meanwhile uses no attempts. A time-out or a 5xx concerns its own charge: were
 * it to open the circuit, a few charges that fail for long, being all that is left to try, would hold back every other.
 */
export class Circuit {
  readonly #backoff: Backoff
  #opened = 0
  #openUntil = 0
  #reason = ''

  constructor(backoff: Backoff) {
    this.#backoff = backoff
  }

  /** How many calls may run at the same time now, of `callsMax`. */
  allowed(callsMax: number, now: number): number {
    if (this.#opened === 0) return callsMax
    return now >= this.#openUntil ? 1 : 0
  }

  /** How long until the next try. 0 when calls may run now. */
  waitMs(now: number): number {
    return this.#opened === 0 ? 0 : Math.max(0, this.#openUntil - now)
  }

  get isOpen(): boolean {
    return this.#opened > 0
  }

  /** What a call said about the gateway itself. */
  note(answer: ChargeAnswer | VoidAnswer | Unreachable, now: number): void {
    if (answer.kind === 'unreachable') {
      this.#open(answer.reason, now)
    } else {
      this.#opened = 0
      this.#openUntil = 0
    }
  }

  #open(reason: string, now: number): void {
    this.#reason = reason
    // The calls that were running when it opened fail one after the other: they are one failure.
    if (now < this.#openUntil) return
    this.#opened += 1
    const waitMs = fullJitter({ ...this.#backoff, attempt: this.#opened })
    this.#openUntil = now + Math.max(this.#backoff.baseMs, waitMs)
  }

  report(): HealthReport {
    if (this.#opened === 0) return { status: 'ok' }
    return { status: 'degraded', detail: `the gateway cannot be reached: ${this.#reason}` }
  }
}
