import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { groupsOf, killsOf, type Mark } from './suspects.ts'

const killsMax = 3
const itself = (id: string): string => id

function ids(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `m${n}`)
}

function died(...messageIds: string[]): Mark {
  return { messageIds, isSilent: true }
}

describe('a group', () => {
  test('is everything while nothing of it was marked', () => {
    expect(groupsOf(ids(1000), [died('other')], itself)).toEqual([ids(1000)])
    expect(groupsOf([], [died('other')], itself)).toEqual([])
  })

  test('is at most a tenth of the smallest that one of its messages was marked in', () => {
    const all = ids(100)
    const sizes = groupsOf(all, [died(...all), died(...all.slice(30, 50))], itself)
    expect(sizes.map(({ length }) => length)).toEqual([
      10,
      10,
      10,
      ...repeated(2, 10),
      ...repeated(10, 5),
    ])
  })

  test('of messages that were never marked ends where a marked one comes', () => {
    const groups = groupsOf(['a', 'b', 'x', 'c', 'd'], [died('x')], itself)
    expect(groups).toEqual([['a', 'b'], ['x'], ['c', 'd']])
  })

  test('keeps the order of all messages, whatever was marked', () => {
    const some = fc.subarray(ids(40))
    fc.assert(
      fc.property(fc.shuffledSubarray(ids(40)), fc.array(some), (messages, marked) => {
        const marks = marked.map((messageIds) => died(...messageIds))
        expect(groupsOf(messages, marks, itself).flat()).toEqual(messages)
      }),
    )
  })
})

test('only who died over a group of one is counted, and only when it is silent', () => {
  const marks = [died('a'), died('a'), died('a', 'b'), died('b'), { ...died('a'), isSilent: false }]
  expect(killsOf(['a'], marks)).toBe(2)
  expect(killsOf(['a', 'b'], marks)).toBe(0)
  expect(killsOf(['c'], marks)).toBe(0)
})

/** What processes do with a queue of messages, one process after the other. */
class World {
  readonly dead: string[] = []
  deaths = 0
  readonly #killers: ReadonlySet<string>
  #marks: Mark[] = []
  #queue: readonly string[]
  /** The first process does not know that there is something to be found. */
  #marking = false

  constructor(queue: readonly string[], killers: readonly string[] = []) {
    this.#queue = queue
    this.#killers = new Set(killers)
  }

  get isDone(): boolean {
    return this.#queue.length === 0
  }

  /** The most that any message is charged with. */
  get killsMost(): number {
    return Math.max(0, ...this.#queue.map((id) => killsOf([id], this.#marks)))
  }

  /** One process, that is killed by a message, or in vain within the group of that number, or that gets to the end. */
  live(batchMax: number, killedAt = Number.POSITIVE_INFINITY): void {
    let groups = 0
    const handle = (batch: readonly string[]): boolean => {
      const split = this.#marking ? groupsOf(batch, this.#marks, itself) : [batch]
      if (split.length > 1) return split.every(handle)
      groups += 1
      if (killsOf(batch, this.#marks) >= killsMax) this.dead.push(...batch)
      else if (groups > killedAt || batch.some((id) => this.#killers.has(id))) {
        if (this.#marking) this.#marks.push(died(...batch))
        this.#marking = true
        this.deaths += 1
        return false
      }
      const done = new Set(batch)
      this.#queue = this.#queue.filter((id) => !done.has(id))
      return true
    }
    while (!this.isDone && handle(this.#queue.slice(0, batchMax)));
  }
}

// One that marked nothing; each tenth of 1000 until one is alone; and those that are charged.
const deathsOfOneMax = 1 + 3 + killsMax

test('one that kills among 1000 messages is dead after seven deaths, wherever it is', () => {
  const queue = ids(1000)
  for (let at = 0; at < 1000; at += 37) {
    const killer = `m${at}`
    const world = new World(queue, [killer])
    while (!world.isDone) world.live(1000)
    expect(world).toMatchObject({ dead: [killer], deaths: deathsOfOneMax })
  }
})

test('any two that kill are dead within bounded deaths, and nothing else is, however batches are cut', () => {
  const place = fc.nat(1999)
  const batchMax = fc.integer({ min: 1, max: 1000 })
  fc.assert(
    fc.property(fc.uniqueArray(place, { maxLength: 2 }), fc.array(batchMax), (places, cuts) => {
      const killers = places.map((at) => `m${at}`)
      const world = new World(ids(2000), killers)
      for (let life = 0; !world.isDone; life += 1) world.live(cuts[life % cuts.length] ?? 1000)
      expect(world.dead.toSorted()).toEqual(killers.toSorted())
      expect(world.deaths).toBeLessThanOrEqual(killers.length * deathsOfOneMax)
    }),
  )
})

test('harmless kills charge no message twice as long as each process applies something', () => {
  const kill = fc.integer({ min: 1, max: 60 })
  fc.assert(
    fc.property(fc.array(kill, { minLength: 1, maxLength: 200 }), (kills) => {
      const world = new World(ids(3000))
      for (const at of kills) {
        world.live(1000, at)
        expect(world.killsMost).toBeLessThanOrEqual(1)
      }
      world.live(1000)
      expect(world).toMatchObject({ isDone: true, dead: [] })
    }),
  )
})

test('harmless kills beside one that kills make nothing else dead as long as each process applies something', () => {
  const kill = fc.integer({ min: 1, max: 20 })
  fc.assert(
    fc.property(fc.nat(1999), fc.array(kill, { maxLength: 60 }), (at, kills) => {
      const world = new World(ids(2000), [`m${at}`])
      for (const killedAt of kills) world.live(1000, killedAt)
      while (!world.isDone) world.live(1000)
      expect(world.dead).toEqual([`m${at}`])
    }),
  )
})

function repeated(size: number, times: number): number[] {
  return Array.from({ length: times }, () => size)
}
