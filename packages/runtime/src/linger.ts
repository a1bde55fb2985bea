/** The bounds of a linger. */
export interface LingerBounds {
  /** Milliseconds of waiting for each thousand pieces a second. */
  readonly msPerThousand: number
  readonly maxMs: number
}

// What lies further back than a few of these counts no more in the rate.
const memoryMs = 200

/**
 * How long a loop that takes its work in batches lets the next batch grow: the more comes, the longer, so that an idle loop adds
 * no latency and a busy one pays the fixed cost of a batch (statements, round trips, requests) for many pieces together. By the
 * rate, and not by what the last batch brought, which is more after a wait than without: it would turn itself on and off.
 */
export class Linger {
  readonly #bounds: LingerBounds
  /** Pieces seen, each counting less the longer ago it came. */
  #weight = 0
  #lastMs = 0

  constructor(bounds: LingerBounds) {
    this.#bounds = bounds
  }

  /** Notes that `pieces` were taken now. */
  note(pieces: number, nowMs = performance.now()): void {
    this.#weight = this.#weightAt(nowMs) + pieces
    this.#lastMs = nowMs
  }

  /** How long the next batch should be left to grow. */
  waitMs(nowMs = performance.now()): number {
    const { msPerThousand, maxMs } = this.#bounds
    const perSecond = (this.#weightAt(nowMs) * 1000) / memoryMs
    return Math.min(maxMs, (perSecond / 1000) * msPerThousand)
  }

  #weightAt(nowMs: number): number {
    return this.#weight * Math.exp((this.#lastMs - nowMs) / memoryMs)
  }
}
