import { expect, test } from 'vitest'
import { decide, defineSaga, remainingSteps, type SagaInput, type SagaState } from './index.ts'

const remote = { kind: 'remote', command: 'x', payload: () => null } as const
const both = { do: remote, undo: remote }
const definition = defineSaga<null>('trip', 1)
  .compensatable('book', both)
  .compensatable('insure', both)
  .pivot('pay', { do: remote, fence: remote })
  .retriable('tell', { do: remote })
  .build()

function remainingAfter(...inputs: SagaInput<null>[]): string[] {
  let state: SagaState<null> | undefined
  for (const input of [{ kind: 'start', context: null } as const, ...inputs]) {
    state = decide(definition, state, input, 0).state
  }
  if (!state) throw new Error('there is no saga')
  return remainingSteps(definition, state).map(
    ({ step, direction, underWay }) => `${direction} ${step}${underWay ? ' now' : ''}`,
  )
}

const ok = (step: string) => ({ kind: 'reply', step, direction: 'do', outcome: 'ok' }) as const
const cancel = { kind: 'cancel' } as const

test('forward, the steps from the present one on', () => {
  expect(remainingAfter(ok('book'))).toEqual(['do insure now', 'do pay', 'do tell'])
})

test('backward, the undos down to the first step', () => {
  expect(remainingAfter(ok('book'), cancel)).toEqual(['undo insure now', 'undo book'])
})

test('of a fence, nobody knows yet what comes after it', () => {
  expect(remainingAfter(ok('book'), ok('insure'), cancel)).toEqual(['fence pay now'])
})

test('after the end, none', () => {
  expect(remainingAfter(ok('book'), ok('insure'), ok('pay'), ok('tell'))).toEqual([])
})
