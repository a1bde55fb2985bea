import { expect, test } from 'vitest'
import { ReadPosition } from './position.ts'

const read = (...ids: number[]) => {
  const position = new ReadPosition({ gapsMax: 100 })
  position.advance(ids)
  return position
}

test('ids below the cursor that no row was seen for stay open', () => {
  const position = read(3, 4, 7)
  expect(position.cursor).toBe(7)
  expect(position.gaps).toEqual([
    { low: 1, high: 2 },
    { low: 5, high: 6 },
  ])
  expect(position.floor).toBe(0)
  expect([4, 5, 7, 8].map((id) => position.isOpen(id))).toEqual([false, true, false, true])
})

test('a late row fills its gap, also in the middle of it', () => {
  const position = read(9)
  position.takeLate([1, 5, 8])
  expect(position.gaps).toEqual([
    { low: 2, high: 4 },
    { low: 6, high: 7 },
  ])
  expect(position.floor).toBe(1)
})

test('a gap is closed by a snapshot in which all that could fill it have ended, and not before', () => {
  const position = read(3, 7)
  position.mark(7, 100)
  position.settle(99)
  expect(position.floor).toBe(0)
  position.settle(100)
  expect(position.gaps).toEqual([])
  expect(position.floor).toBe(7)
})

test('what was seen after the mark stays open', () => {
  const position = read(3)
  position.mark(3, 100)
  position.advance([6])
  position.settle(100)
  expect(position.gaps).toEqual([{ low: 4, high: 5 }])
})

test('going back reads what lies above again, and what was closed stays closed', () => {
  const position = read(3, 7, 12)
  position.mark(7, 100)
  position.settle(100)
  position.rewind(5)
  expect(position.cursor).toBe(5)
  expect(position.gaps).toEqual([])
  position.advance([12])
  expect(position.gaps).toEqual([{ low: 8, high: 11 }])
})

test('going back never goes forward', () => {
  const position = read(1, 2)
  position.rewind(5)
  expect(position.cursor).toBe(2)
})

test('too many gaps are joined with what lies between, so that none is lost', () => {
  const position = new ReadPosition({ gapsMax: 2 })
  position.advance([2, 4, 6, 8, 10])
  expect(position.gaps.length).toBeLessThanOrEqual(2)
  expect([1, 3, 5, 7, 9].every((id) => position.isOpen(id))).toBe(true)
})
