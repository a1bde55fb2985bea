/** How long a process is cautious after another one was killed. */
export interface CautionBounds {
  /**
   * New messages of one partition or queue after which it is over there: so many can have been in the hands of the process that was
   * killed, and they come again before anything else of their partition.
   */
  messagesMax: number
  /** At the latest: a partition or queue that comes later had no part in it. */
  durationMaxMs: number
}

/**
 * Whether a process handles messages one by one, since it may be a message that kills. Times are monotonic milliseconds.
 *
 * A killed process had at most one batch in a transaction. What that had of a partition is the first that is new of it for the next
 * owner, after duplicates at most; a queue gives back what was not acknowledged before anything else, behind what this process had
 * in hand already. So the one that kills is among the first `messagesMax` new messages of its partition or queue, and they are
 * handled by a process that is cautious, or by one that has not noticed yet: then that dies, and is noticed in its turn.
 */
export class Caution {
  readonly #bounds: CautionBounds
  readonly #known = new Set<string>()
  readonly #passed = new Map<string, number>()
  #until = Number.NEGATIVE_INFINITY

  constructor(bounds: CautionBounds) {
    this.#bounds = bounds
  }

  /** Takes note of the processes that were killed lately; true when it begins anew, since one of them is new. */
  found(killed: readonly string[], nowMs: number): boolean {
    const fresh = killed.filter((instance) => !this.#known.has(instance))
    if (fresh.length === 0) return false
    for (const instance of fresh) this.#known.add(instance)
    this.#passed.clear()
    this.#until = nowMs + this.#bounds.durationMaxMs
    return true
  }

  /** Whether messages of a partition or queue are to be handled one by one. */
  isOn(source: string, nowMs: number): boolean {
    if (nowMs >= this.#until) return false
    return (this.#passed.get(source) ?? 0) < this.#bounds.messagesMax
  }

  /** A new message of the partition or queue was handled alone. */
  pass(source: string): void {
    this.#passed.set(source, (this.#passed.get(source) ?? 0) + 1)
  }
}
