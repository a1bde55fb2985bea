import { AppError, isConnectionError } from './errors.ts'
import { Linger } from './linger.ts'

/** At 1,000 items a second groups of fifteen: few transactions and, since less waits for the CPU, the same latency (measured). */
const lingerBounds = { msPerThousand: 15, maxMs: 15 }

/** Adds an item to the next group and resolves with its result once the group is committed. */
export type GroupCommit<Item, Result> = (item: Item) => Promise<Result>

interface Waiting<Item, Result> {
  item: Item
  since: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/** What `createGroupCommit` needs. */
export interface GroupCommitOptions<Item, Result> {
  lanes: number
  groupMax: number
  /** Beyond these an item is refused as `overloaded`, so that an outage does not fill the memory; default 10,000. */
  waitingMax?: number
  /** What has waited longer is refused too: its client is gone; default 10 s. */
  waitMsMax?: number
  run: (items: readonly Item[]) => Promise<readonly Result[]>
}

/**
 * Groups work that arrives one by one into few transactions: what waited while all lanes were busy goes into one call of
 * `run`, and under load groups begin some milliseconds apart, by the rate (`Linger`). So an idle service adds no latency and a
 * busy one pays for its commits once a group (the group commit of databases). A group that fails runs again one by one, so that only the broken item is affected; not when
 * its connection was lost, since each item would then wait for one in vain.
 *
 * `run` gets 1 to `groupMax` items and gives a result for each, in order; it must be one transaction.
 */
export function createGroupCommit<Item, Result>(
  options: GroupCommitOptions<Item, Result>,
): GroupCommit<Item, Result> {
  const groups = new Groups(options)
  return (item) => groups.add(item)
}

class Groups<Item, Result> {
  readonly #options: GroupCommitOptions<Item, Result>
  readonly #queue: Waiting<Item, Result>[] = []
  readonly #linger = new Linger(lingerBounds)
  #freeLanes: number
  #lastGroupMs = -Infinity
  #isScheduled = false

  constructor(options: GroupCommitOptions<Item, Result>) {
    this.#options = options
    this.#freeLanes = options.lanes
  }

  add(item: Item): Promise<Result> {
    const { waitingMax = 10_000 } = this.#options
    return new Promise((resolve, reject) => {
      if (this.#queue.length >= waitingMax) throw overloaded(`${waitingMax} are waiting already`)
      this.#queue.push({ item, since: performance.now(), resolve, reject })
      this.#linger.note(1)
      this.#schedule()
    })
  }

  #schedule(): void {
    if (this.#isScheduled || this.#freeLanes === 0 || this.#queue.length === 0) return
    this.#isScheduled = true
    const start = (): void => {
      this.#isScheduled = false
      if (this.#freeLanes > 0 && this.#queue.length > 0) void this.#runGroup()
    }
    const waitMs = this.#untilDueMs()
    // Never at once: what is parsed in the same tick belongs in one group.
    if (waitMs < 1) setImmediate(start)
    else setTimeout(start, waitMs)
  }

  #untilDueMs(): number {
    if (this.#queue.length >= this.#options.groupMax) return 0
    return this.#lastGroupMs + this.#linger.waitMs() - performance.now()
  }

  /** Never rejects. */
  async #runGroup(): Promise<void> {
    this.#freeLanes -= 1
    this.#lastGroupMs = performance.now()
    const group = this.#takeGroup(this.#lastGroupMs)
    // More than one group waits: another lane takes the next.
    if (this.#queue.length > 0 && this.#freeLanes > 0) void this.#runGroup()
    if (group.length > 0) await this.#settle(group)
    this.#freeLanes += 1
    if (this.#queue.length > 0 && this.#untilDueMs() < 1) void this.#runGroup()
    else this.#schedule()
  }

  #takeGroup(nowMs: number): Waiting<Item, Result>[] {
    const { groupMax, waitMsMax = 10_000 } = this.#options
    return this.#queue.splice(0, groupMax).filter((waiting) => {
      const inTime = waiting.since >= nowMs - waitMsMax
      if (!inTime) waiting.reject(overloaded(`waited for more than ${waitMsMax} ms`))
      return inTime
    })
  }

  async #settle(group: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.run(group.map((waiting) => waiting.item))
      if (results.length !== group.length) {
        throw new Error(`${group.length} items gave ${results.length} results`)
      }
      for (const [index, result] of results.entries()) group[index]?.resolve(result)
    } catch (error) {
      if (group.length > 1 && !isConnectionError(error)) {
        for (const waiting of group) await this.#settle([waiting])
      } else {
        for (const waiting of group) waiting.reject(error)
      }
    }
  }
}

function overloaded(why: string): AppError {
  return new AppError('overloaded', why, { retry: 'transient-everything' })
}
