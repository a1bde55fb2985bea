/** Runs work of one key one after the other; work of different keys does not wait. */
export type KeyLocks = <T>(key: string, work: () => Promise<T>) => Promise<T>

/** Makes locks that exist only while somebody holds or waits for them. */
export function createKeyLocks(): KeyLocks {
  const last = new Map<string, Promise<unknown>>()
  return (key, work) => {
    const before = last.get(key)
    const mine = before === undefined ? work() : before.then(work, work)
    last.set(key, mine)
    const release = (): void => {
      if (last.get(key) === mine) last.delete(key)
    }
    mine.then(release, release)
    return mine
  }
}
