import { describe, expect, test, vi } from 'vitest'
import {
  defineSaga,
  type Exploration,
  exploreBug,
  exploreSaga,
  localPivotExample,
  lossyBag,
  type NetworkKind,
  parkingBag,
  plantedBugs,
  remotePivotExample,
} from '../index.ts'

// Seconds of work each, and the machine may be busy.
vi.setConfig({ testTimeout: 120_000 })

const set: NetworkKind = { model: 'set' }

/** Fails with the trace, so that a violation can be read. */
function expectSafe({ violation, worlds }: Exploration, worldsMin: number): void {
  expect(violation).toBeUndefined()
  // An exploration that went nowhere would hold as well.
  expect(worlds).toBeGreaterThan(worldsMin)
}

describe('every property holds in every world', () => {
  const kinds: [string, NetworkKind, number][] = [
    ['a set', set, 2_000],
    ['a bag that loses messages', lossyBag, 8_000],
  ]

  test.each(kinds)('of a saga with a local pivot and a gateway, in %s', (_name, network, min) => {
    expectSafe(exploreSaga(localPivotExample, { network, gatewaySteps: ['charge'] }), min)
  })

  test.each(kinds)('of a saga with a remote pivot, in %s', (_name, network, min) => {
    expectSafe(exploreSaga(remotePivotExample, { network }), min)
  })

  test.each(kinds)('of a saga whose pivot is a gateway, in %s', (_name, network, min) => {
    expectSafe(exploreSaga(remotePivotExample, { network, gatewaySteps: ['pay'] }), min)
  })

  test('of a saga whose messages are parked, become dead letters and are redriven', () => {
    const { steps } = localPivotExample
    const short = { ...localPivotExample, steps: [...steps.slice(0, 1), ...steps.slice(2)] }
    expectSafe(exploreSaga(short, { network: parkingBag }), 2_000)
  })

  test('of a saga of local steps alone', () => {
    const local = { kind: 'local', action: 'any' } as const
    const definition = defineSaga<null>('local', 1)
      .compensatable('hold', { do: local, undo: local })
      .pivot('decide', { do: local })
      .retriable('tell', { do: local })
      .build()
    expectSafe(exploreSaga(definition, { network: set }), 8)
  })
})

describe('a wrong rule is found, on a shortest way', () => {
  test.each(plantedBugs)('$name', (bug) => {
    const definition = bug.remotePivot ? remotePivotExample : localPivotExample
    const { violation } = exploreBug(bug, definition, ['charge'])
    expect(violation).toMatchObject({ property: bug.violates })
    expect(violation?.trace).toMatchSnapshot()
  })

  test('and every one that the design names for an orchestrated saga is planted', () => {
    expect(plantedBugs.map((bug) => bug.name)).toEqual([
      'no tombstone',
      'blind undo',
      'undo only what answered',
      'reply not matched to its step',
      'compensate on a silent pivot',
      'cancel at the pivot',
      'a key per attempt',
      'swallowed undo failure',
      'delete on end',
      'silent on duplicate',
      'resend under the old message id',
      'void by look-up',
      'undo without its row lock',
    ])
  })
})
