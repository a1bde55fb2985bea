import { describe, expect, expectTypeOf, test } from 'vitest'
import { defineSaga, type Definition, type LocalAction, type RemoteAction } from './index.ts'

interface Trip {
  readonly seats: number
}

const remote: RemoteAction<Trip> = {
  kind: 'remote',
  command: 'seat.book.v1',
  payload: ({ seats }) => ({ seats }),
}
const local: LocalAction<Trip> = { kind: 'local', action: 'confirm' }
const both = { do: remote, undo: remote }

describe('a definition', () => {
  test('keeps its steps in order, with the policy of each', () => {
    const definition = defineSaga<Trip>('trip', 3)
      .compensatable('book', { ...both, policy: { undoSilenceMs: 1 } })
      .pivot('pay', { do: remote, fence: remote })
      .retriable('tell', { do: local })
      .deadline({ minutes: 2 })
      .build()
    expectTypeOf(definition).toEqualTypeOf<Definition<Trip>>()
    expect(definition).toMatchObject({ name: 'trip', version: 3, deadlineMs: 120_000 })
    expect(definition.steps.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'compensatable book',
      'pivot pay',
      'retriable tell',
    ])
    expect(definition.steps[0]?.policy).toEqual({
      resendAfterMs: 5_000,
      resendAfterMaxMs: 60_000,
      undoSilenceMs: 1,
      doSilenceMs: 600_000,
    })
  })

  test('needs no pivot, no retriable step and no deadline', () => {
    expect(defineSaga<Trip>('trip', 1).compensatable('book', both).build()).toMatchObject({
      deadlineMs: null,
      steps: [{ name: 'book' }],
    })
  })
})

// Each of these is checked by the compiler (`pnpm check:types`): an expectation that is not met does not compile.
describe('what does not compile', () => {
  const begun = defineSaga<Trip>('trip', 1)

  test('steps in another order than compensatable, pivot, retriable', () => {
    const decided = begun.pivot('pay', { do: local })
    expectTypeOf(decided).not.toHaveProperty('compensatable')
    expectTypeOf(decided).not.toHaveProperty('pivot')
    const retrying = begun.retriable('tell', { do: local })
    expectTypeOf(retrying).not.toHaveProperty('compensatable')
    expectTypeOf(retrying).not.toHaveProperty('pivot')
    // @ts-expect-error: nothing can be compensated behind the pivot
    expect(decided.compensatable).toBeDefined()
    // @ts-expect-error: a saga has one pivot at most
    expect(decided.pivot).toBeDefined()
  })

  test('a compensatable step without its undo', () => {
    // @ts-expect-error: undo is missing
    expect(begun.compensatable('book', { do: remote })).toBeDefined()
  })

  test('a step that is undone in another place than it is done', () => {
    // @ts-expect-error: who undoes it cannot know whether it was done
    expect(begun.compensatable('book', { do: local, undo: remote })).toBeDefined()
    // @ts-expect-error: nor here
    expect(begun.compensatable('book', { do: remote, undo: local })).toBeDefined()
  })

  test('a remote pivot without its fence, and a fence for a local one', () => {
    // @ts-expect-error: fence is missing
    expect(begun.pivot('pay', { do: remote })).toBeDefined()
    // @ts-expect-error: a local pivot is decided in the transaction, there is nothing to fence
    expect(begun.pivot('pay', { do: local, fence: remote })).toBeDefined()
  })

  test('a name used twice, at whatever distance', () => {
    const booked = begun.compensatable('book', both)
    // @ts-expect-error: there is a step book already
    expect(booked.compensatable('book', both)).toBeDefined()
    // @ts-expect-error: there is a step book already
    expect(booked.pivot('pay', { do: local }).retriable('book', { do: local })).toBeDefined()
    expect(booked.compensatable('pay', both).build().steps).toHaveLength(2)
  })

  test('a name that the compiler does not know', () => {
    const name: string = 'book'
    // @ts-expect-error: the name of a step is a literal
    expect(begun.compensatable(name, both)).toBeDefined()
  })

  test('a saga without steps, and one that goes on after its deadline', () => {
    expectTypeOf(begun).not.toHaveProperty('build')
    expectTypeOf(begun).not.toHaveProperty('deadline')
    const finished = begun.compensatable('book', both).deadline({ minutes: 1 })
    expectTypeOf(finished).not.toHaveProperty('compensatable')
    expectTypeOf(finished).not.toHaveProperty('deadline')
  })

  test('an action of another context', () => {
    const other: RemoteAction<{ readonly nights: number }> = {
      kind: 'remote',
      command: 'room.book.v1',
      payload: ({ nights }) => nights,
    }
    // @ts-expect-error: the payload is a function of another context
    expect(begun.compensatable('book', { do: other, undo: remote })).toBeDefined()
  })
})
