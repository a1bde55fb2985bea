import { expect, test } from 'vitest'
import {
  advance,
  decide,
  defineSaga,
  type LocalEffect,
  type LocalOutcome,
  type SagaInput,
  type SagaState,
} from './index.ts'

interface Trip {
  readonly ticket?: unknown
}

const remote = { kind: 'remote', command: 'seat.book.v1', payload: (trip: Trip) => trip } as const
const trip = defineSaga<Trip>('trip', 1)
  .compensatable('hold', {
    do: { kind: 'local', action: 'hold' },
    undo: { kind: 'local', action: 'let-go' },
  })
  .compensatable('book', { do: remote, undo: remote })
  .pivot('confirm', {
    do: { kind: 'local', action: 'confirm', fold: (on, result) => ({ ...on, ticket: result }) },
  })
  .retriable('tell', { do: remote })
  .build()

const start: SagaInput<Trip> = { kind: 'start', context: {} }
const booked: SagaInput<Trip> = { kind: 'reply', step: 'book', direction: 'do', outcome: 'ok' }

/** Runs inputs, each on what the one before it left; `local` says what each action answers. */
function run(inputs: readonly SagaInput<Trip>[], local: Record<string, LocalOutcome>) {
  const called: string[] = []
  let state: SagaState<Trip> | undefined
  let last: ReturnType<typeof advance<Trip>> | undefined
  const rows: { input: SagaInput<Trip>; state: unknown; effects: unknown; note: string }[] = []
  for (const input of inputs) {
    last = advance(trip, {
      state,
      input,
      now: 0,
      local: ({ action }: LocalEffect) => {
        called.push(action)
        return local[action] ?? { outcome: 'ok' }
      },
    })
    state = last.state
    rows.push(...last.decisions)
  }
  return { called, rows, last, state }
}

test('local steps run within the transaction until the saga waits for something outside', () => {
  const { called, last, state } = run([start], {})
  expect(called).toEqual(['hold'])
  expect(state).toMatchObject({ status: 'running', step: 'book', version: 2 })
  expect(last?.effects).toMatchObject([{ kind: 'command', step: 'book' }])
})

test('what a local step gives back is folded', () => {
  const { last, state } = run([start, booked], { confirm: { outcome: 'ok', result: 't-1' } })
  expect(state).toMatchObject({ step: 'tell', context: { ticket: 't-1' } })
  expect(last?.effects).toMatchObject([{ kind: 'command', step: 'tell' }])
})

test('a local pivot that refuses turns the saga in the same transaction', () => {
  const { state, last } = run([start, booked], {
    confirm: { outcome: 'refused', reason: 'order changed' },
  })
  expect(state).toMatchObject({
    status: 'compensating',
    step: 'book',
    cause: { kind: 'refused', step: 'confirm', reason: 'order changed' },
  })
  expect(last?.effects.map((effect) => effect.kind)).toEqual(['turned', 'command'])
})

test('a local undo that fails needs a person, is run again when due, and heals', () => {
  const cancel: SagaInput<Trip> = { kind: 'cancel' }
  const undone: SagaInput<Trip> = { kind: 'reply', step: 'book', direction: 'undo', outcome: 'ok' }
  const failed = run([start, cancel, undone], { 'let-go': { outcome: 'failed' } })
  expect(failed.state).toMatchObject({ status: 'needs_human', step: 'hold', direction: 'undo' })
  const due: SagaInput<Trip> = {
    kind: 'due',
    version: failed.state?.version ?? 0,
    transport: 'running',
  }
  const healed = advance(trip, {
    state: failed.state,
    input: due,
    now: 1,
    local: () => ({ outcome: 'ok' }),
  })
  expect(healed.state?.status).toBe('compensated')
})

test('what a local action throws comes out: the transaction rolls back', () => {
  const fault = () => {
    throw new Error('no connection')
  }
  expect(() => advance(trip, { state: undefined, input: start, now: 0, local: fault })).toThrow(
    'no connection',
  )
})

test('the logged inputs, decided again, give the logged states', () => {
  const { rows } = run([start, booked, booked, { kind: 'cancel' }], {})
  expect(rows.map((row) => row.note)).toEqual([
    'started',
    'done',
    'done',
    'done',
    'duplicate',
    'too-late-to-cancel',
  ])
  let state: SagaState<Trip> | undefined
  for (const row of rows) {
    const again = decide(trip, state, row.input, 0)
    expect(again).toEqual({ state: row.state, effects: row.effects, note: row.note })
    state = again.state
  }
})
