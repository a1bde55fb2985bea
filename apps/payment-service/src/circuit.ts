import { type Backoff, fullJitter, type HealthReport } from '@edp/runtime'
import type { ChargeAnswer, VoidAnswer } from './domain/payment.ts'
import type { Unreachable } from './gateway.ts'

/**
 * Whether the gateway may be called. It opens when the gateway cannot be reached, or when many calls in a row had no
 * outcome; then one call at a time tries, with backoff, until one gets an answer. What waits meanwhile uses no attempts.
 */
export class Circuit {
  readonly #failuresMax: number
  readonly #backoff: Backoff
  #failures = 0
  #opened = 0
  #openUntil = 0
  #reason = ''

  constructor(options: { failuresMax: number; backoff: Backoff }) {
    this.#failuresMax = options.failuresMax
    this.#backoff = options.backoff
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
    if (answer.kind === 'unreachable') this.#open(answer.reason, now)
    else if (answer.kind === 'unknown' && !answer.gatewayWorks) this.#noOutcome(answer.reason, now)
    else {
      this.#failures = 0
      this.#opened = 0
      this.#openUntil = 0
    }
  }

  // One time-out or 5xx alone says little about the gateway.
  #noOutcome(reason: string, now: number): void {
    this.#failures += 1
    if (this.#opened > 0 || this.#failures >= this.#failuresMax) this.#open(reason, now)
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
    return { status: 'degraded', detail: `the gateway does not answer: ${this.#reason}` }
  }
}
