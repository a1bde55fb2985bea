import { AppError } from '@edp/runtime'
import { expect, test } from 'vitest'
import { DrainState } from './drain-state.ts'
import { type FetchedRow, judge } from './window.ts'

// What the walks of drain-state.prop.test.ts come by too seldom.

const bounds = { rowsMax: 100, bytesMax: 1_000_000, oneRowOfAKey: false }
const away = new AppError('away', 'away', { retry: 'transient-everything' })
const row = (id: number, key = 'a'): FetchedRow => {
  const rest = { messageId: '', type: 't.v1', payload: '', headers: {}, bytes: 1 }
  return { id, destination: 'orders', key, ...rest }
}

function newState(): DrainState {
  return new DrainState({ gapsMax: 100, pauseBackoff: { baseMs: 1, capMs: 1 } })
}

/** Fetches, with no transaction running. */
function fetch(state: DrainState, rows: readonly FetchedRow[]): void {
  const ticket = state.fetchSent(100)
  const { cursor } = ticket.request
  const fetched = rows.filter(({ id }) => id > cursor)
  state.fetchReturned(ticket, { xmin: 1000, rows: fetched, oldestSeconds: 0 })
}

const idsOf = (rows: readonly FetchedRow[]) => rows.map(({ id }) => id)

test('what was put back while its destination is paused is read when that takes messages again', () => {
  const state = newState()
  fetch(state, [row(7)])
  // Nothing can turn up below any more.
  state.position.mark(7, 500)
  fetch(state, [])
  const window = state.take(bounds)
  const [pause] = state.judged(judge(window, [away]), 0)
  expect(pause?.resumeFrom).toBeGreaterThan(2)
  state.reload([])
  fetch(state, [row(2), row(7)])
  expect(state.buffered).toBe(0)
  const [paused] = state.pauses.all
  if (paused) state.resume(paused)
  fetch(state, [row(2), row(7)])
  expect(idsOf(state.take(bounds))).toEqual([2, 7])
})

test('of a key that stands still what comes before its first dead row goes out, what comes after is held', () => {
  const state = newState()
  // As after a change of policy: the first of two dead rows was put back, the second is still dead.
  state.reload([
    { destination: 'orders', key: 'a', from: 8 },
    { destination: 'orders', key: 'a', from: 5 },
  ])
  fetch(state, [row(2), row(6), row(7, 'b'), row(9)])
  expect(idsOf(state.take(bounds))).toEqual([2, 7])
  expect(idsOf(state.held)).toEqual([6, 9])
  state.reload([])
  fetch(state, [row(6), row(9)])
  expect([idsOf(state.take(bounds)), state.held]).toEqual([[6, 9], []])
})

test('rows that were not moved after all are read again, with all that came after them', () => {
  const state = newState()
  fetch(state, [row(1), row(2), row(3)])
  const window = state.take({ ...bounds, rowsMax: 1 })
  state.throwAway(window)
  fetch(state, [row(1), row(2), row(3)])
  expect(idsOf(state.take(bounds))).toEqual([1, 2, 3])
})
