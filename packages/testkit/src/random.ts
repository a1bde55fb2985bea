import { randomBytes, randomInt } from 'node:crypto'

/** Numbers that the same seed repeats. */
export type Random = {
  readonly seed: number
  /** From 0 to below 1. */
  next(): number
  /** A whole number from 0 to below `end`. */
  below(end: number): number
  /** One of the items. */
  pick<T>(items: readonly T[]): T
}

/**
 * The random numbers of a test. The seed is printed, and `SEED=…` in the environment repeats the run.
 * @param name says in the output whose seed it is
 */
export function seededRandom(name: string): Random {
  const given = Number(process.env['SEED'])
  const seed = Number.isSafeInteger(given) && given > 0 ? given : randomInt(1, 2 ** 31)
  process.stderr.write(`seed of ${name}: ${seed} (SEED=${seed} repeats it)\n`)
  return randomOf(seed)
}

/** Random numbers of a seed, nothing printed. The generator is mulberry32: small, and good enough for tests. */
export function randomOf(seed: number): Random {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (end: number): number => Math.floor(next() * end)
  return {
    seed,
    next,
    below,
    pick: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new Error('picked from an empty list')
      return item
    },
  }
}

/** A prefix for topics, queues and groups that no other test has. */
export function uniqueNamespace(): string {
  return `test-${Date.now().toString(36)}-${randomBytes(3).toString('hex')}`
}
