import { expect, test } from 'vitest'
import { liveness, type Model, search } from './search.ts'

/** Worlds are numbers; `ways` says where each leads to. */
function model(
  ways: Record<number, readonly number[]>,
  rest: Partial<Model<number>>,
): Model<number> {
  return {
    initial: 0,
    encode: String,
    moves: (from) => (ways[from] ?? []).map((world) => ({ label: `${from} to ${world}`, world })),
    broken: () => undefined,
    ending: (world) => (world === 9 ? 'nine' : undefined),
    ...rest,
  }
}

const broken = (world: number) => (world === 5 ? 'five' : undefined)

test('every world is visited once', () => {
  const ways = { 0: [1, 2], 1: [3, 0], 2: [3], 3: [9] }
  expect(search(model(ways, {}))).toEqual({
    worlds: 5,
    moves: 6,
    violation: undefined,
    endings: new Set(['nine']),
  })
})

test('of several ways to a violation the shortest is shown', () => {
  const ways = { 0: [1, 4], 1: [2], 2: [3], 3: [5], 4: [5] }
  expect(search(model(ways, { broken })).violation).toEqual({
    property: 'five',
    trace: ['0 to 4', '4 to 5'],
  })
})

test('an initial world may be broken itself', () => {
  expect(search(model({}, { broken: () => 'at once' })).violation).toEqual({
    property: 'at once',
    trace: [],
  })
})

test('a world from which there is no way to an end is found, the nearest first', () => {
  const ways = { 0: [1, 2], 1: [9], 2: [3], 3: [3] }
  expect(search(model(ways, {})).violation).toEqual({ property: liveness, trace: ['0 to 2'] })
})

test('a way that needs a person does not count as a way to an end', () => {
  const moves = (world: number) =>
    world === 9 ? [] : [{ label: 'help', world: 9, byPerson: true }]
  expect(search(model({}, { moves })).violation).toEqual({ property: liveness, trace: [] })
})

test('a search that is cut off proves nothing and says so', () => {
  const moves = (world: number) => [{ label: 'on', world: world + 1 }]
  expect(() => search(model({}, { moves }), 100)).toThrow('more than 100 worlds')
})
