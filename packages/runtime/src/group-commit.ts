import { AppError, isConnectionError } from './errors.ts'

/** Adds an item to the next group and resolves with its result once the group is committed. */
export type GroupCommit<Item, Result> = (item: Item) => Promise<Result>

interface Waiting<Item, Result> {
  item: Item
  since: number
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

/**
 * Groups work that arrives one by one into few transactions: what waited while all lanes were busy goes into one call of
 * `run`, without any timer, so an idle service adds no latency and a busy one pays for its commits once a group (the
 * group commit of databases). A group that fails runs again one by one, so that only the broken item is affected; not when
 * its connection was lost, since each item would then wait for one in vain.
 *
 * `run` gets 1 to `groupMax` items and gives a result for each, in order; it must be one transaction.
 */
export function createGroupCommit<Item, Result>(options: {
  lanes: number
  groupMax: number
  /** Beyond these an item is refused as `overloaded`, so that an outage does not fill the memory; default 10,000. */
  waitingMax?: number
  /** What has waited longer is refused too: its client is gone; default 10 s. */
  waitMsMax?: number
  run: (items: readonly Item[]) => Promise<readonly Result[]>
}): GroupCommit<Item, Result> {
  const { groupMax, run, waitingMax = 10_000, waitMsMax = 10_000 } = options
  const queue: Waiting<Item, Result>[] = []
  let freeLanes = options.lanes

  const settle = async (group: readonly Waiting<Item, Result>[]): Promise<void> => {
    try {
      const results = await run(group.map((waiting) => waiting.item))
      if (results.length !== group.length) {
        throw new Error(`${group.length} items gave ${results.length} results`)
      }
      for (const [index, result] of results.entries()) group[index]?.resolve(result)
    } catch (error) {
      if (group.length > 1 && !isConnectionError(error)) {
        for (const waiting of group) await settle([waiting])
      } else {
        for (const waiting of group) waiting.reject(error)
      }
    }
  }

  const drain = async (): Promise<void> => {
    freeLanes -= 1
    while (queue.length > 0) {
      const oldest = performance.now() - waitMsMax
      const group = queue.splice(0, groupMax).filter((waiting) => {
        if (waiting.since < oldest)
          waiting.reject(overloaded(`waited for more than ${waitMsMax} ms`))
        return waiting.since >= oldest
      })
      // More than one group waits: another lane takes the next.
      if (queue.length > 0 && freeLanes > 0) void drain()
      if (group.length > 0) await settle(group)
    }
    freeLanes += 1
  }

  return (item) =>
    new Promise((resolve, reject) => {
      if (queue.length >= waitingMax) throw overloaded(`${waitingMax} are waiting already`)
      queue.push({ item, since: performance.now(), resolve, reject })
      // Not at once: requests that were parsed in the same tick belong in one group.
      if (freeLanes > 0 && queue.length === 1) setImmediate(() => freeLanes > 0 && void drain())
    })
}

function overloaded(why: string): AppError {
  return new AppError('overloaded', why, { retry: 'transient-everything' })
}
