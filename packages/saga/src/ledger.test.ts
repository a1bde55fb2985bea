import { describe, expect, test } from 'vitest'
import {
  judgeDo,
  judgeFence,
  judgeUndo,
  type LedgerRow,
  settle,
  type StepOutcome,
} from './ledger.ts'

const key = { sagaId: '01980000-0000-7000-8000-000000000001', step: 'charge' } as const
const doKey = { ...key, direction: 'do' } as const
const undoKey = { ...key, direction: 'undo' } as const
const fresh: LedgerRow = { ...doKey, fresh: true, outcome: 'started', reply: null }

function stored(outcome: StepOutcome, reply: unknown = null): LedgerRow {
  return settle(doKey, outcome, reply)
}

describe('a do', () => {
  test('acts when nobody has acted', () => {
    expect(judgeDo(fresh)).toEqual({ kind: 'act' })
  })

  test.each(['ok', 'refused'] as const)('that was %s before gives the same answer', (outcome) => {
    expect(judgeDo(stored(outcome, { chargeId: 'c-1' }))).toEqual({
      kind: 'answer',
      outcome,
      reply: { chargeId: 'c-1' },
    })
  })

  test('that comes after its undo is refused for ever', () => {
    expect(judgeDo(stored('tombstone'))).toEqual({
      kind: 'answer',
      outcome: 'refused',
      reply: null,
    })
  })

  test('that is under way gives no answer yet', () => {
    expect(judgeDo(stored('started'))).toEqual({ kind: 'pending' })
  })
})

describe('an undo', () => {
  test('that comes before its do has nothing to undo', () => {
    expect(judgeUndo({ ...fresh, outcome: 'tombstone' }, undefined)).toEqual({ kind: 'nothing' })
  })

  test.each(['tombstone', 'refused'] as const)(
    'of a do that is %s has nothing to undo',
    (outcome) => {
      expect(judgeUndo(stored(outcome), undefined)).toEqual({ kind: 'nothing' })
    },
  )

  test('of a do that is done acts on what it left', () => {
    expect(judgeUndo(stored('ok', { chargeId: 'c-1' }), undefined)).toEqual({
      kind: 'act',
      on: 'done',
      reply: { chargeId: 'c-1' },
    })
  })

  test('of a do that is under way acts: it may still happen', () => {
    expect(judgeUndo(stored('started'), undefined)).toMatchObject({ kind: 'act', on: 'started' })
  })

  test.each(['ok', 'tombstone', 'refused', 'started'] as const)(
    'that was recorded before gives the same answer, whatever its do says (%s)',
    (outcome) => {
      expect(judgeUndo(stored(outcome), settle(undoKey, 'ok', { refundedMinor: 5 }))).toEqual({
        kind: 'answer',
        reply: { refundedMinor: 5 },
      })
    },
  )
})

describe('a fence', () => {
  test('that comes before the do forbids it for ever', () => {
    expect(judgeFence({ ...fresh, outcome: 'tombstone' })).toEqual({ kind: 'fence' })
    expect(judgeDo(stored('tombstone'))).toMatchObject({ kind: 'answer', outcome: 'refused' })
  })

  test('that comes again gives the same answer', () => {
    expect(judgeFence(stored('tombstone'))).toEqual({
      kind: 'answer',
      outcome: 'fenced',
      reply: null,
    })
  })

  test.each(['ok', 'refused'] as const)(
    'of a do that is %s says so and changes nothing',
    (outcome) => {
      expect(judgeFence(stored(outcome, { chargeId: 'c-1' }))).toEqual({
        kind: 'answer',
        outcome,
        reply: { chargeId: 'c-1' },
      })
    },
  )

  test('of a do that is under way gives no answer: neither would be true', () => {
    expect(judgeFence(stored('started'))).toEqual({ kind: 'pending' })
  })
})

describe('within a batch', () => {
  test('a second do sees what the first one settled', () => {
    expect(judgeDo(settle(doKey, 'ok', { lines: [] }))).toMatchObject({
      kind: 'answer',
      reply: { lines: [] },
    })
  })

  test('a do behind its undo is refused, and a second undo repeats the answer', () => {
    expect(judgeUndo(fresh, undefined)).toEqual({ kind: 'nothing' })
    const tombstone = settle(doKey, 'tombstone')
    expect(judgeDo(tombstone)).toMatchObject({ kind: 'answer', outcome: 'refused' })
    expect(judgeUndo(tombstone, settle(undoKey, 'ok', 'nothing undone'))).toEqual({
      kind: 'answer',
      reply: 'nothing undone',
    })
  })
})
