import { expect, test } from 'vitest'
import { defineSaga, diagram } from './index.ts'

const remote = (command: string) => ({ kind: 'remote', command, payload: () => null }) as const

test('the diagram shows every way through the saga', () => {
  const definition = defineSaga<null>('trip', 1)
    .compensatable('book', { do: remote('seat.book.v1'), undo: remote('seat.free.v1') })
    .pivot('pay', { do: remote('trip.pay.v1'), fence: remote('trip.never-pay.v1') })
    .retriable('tell', { do: { kind: 'local', action: 'tell' } })
    .build()
  expect(diagram(definition)).toBe(`stateDiagram-v2
  state "book: seat.book.v1" as book
  state "undo book: seat.free.v1" as undo_book
  state "pay: trip.pay.v1" as pay
  state "fence pay: trip.never-pay.v1" as fence_pay
  state "tell: tell (local)" as tell
  [*] --> book
  book --> pay: ok
  book --> compensated: refused
  book --> undo_book: deadline, cancel
  undo_book --> compensated: ok, skipped
  pay --> tell: ok
  pay --> undo_book: refused
  pay --> fence_pay: deadline, cancel
  fence_pay --> tell: ok
  fence_pay --> undo_book: fenced, refused
  tell --> completed: ok
  completed --> [*]
  compensated --> [*]
`)
})

test('a saga with a local pivot has no fence, one of retriable steps alone cannot be compensated', () => {
  const local = { do: { kind: 'local', action: 'confirm' } } as const
  expect(diagram(defineSaga<null>('a', 1).pivot('confirm', local).build())).toContain(
    'confirm --> compensated: refused',
  )
  expect(diagram(defineSaga<null>('b', 1).retriable('tell', local).build())).not.toContain(
    'compensated',
  )
})
