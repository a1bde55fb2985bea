import { AppError } from '@edp/runtime'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FetchedRow, judge, takeWindow } from './window.ts'

let lastId = 0
const row = (key: string, bytes = 10, destination = 'orders'): FetchedRow => {
  lastId += 1
  const rest = { messageId: '', type: 't.v1', payload: '', headers: {} }
  return { id: lastId, key, bytes, destination, ...rest }
}
const away = new AppError('away', 'away', { retry: 'transient-everything' })
const tooLarge = new AppError('too-large', 'too large', { retry: 'permanent' })
const heldBack = new AppError('held-back', 'held back', { retry: 'transient-message' })
const plain = { rowsMax: 100, bytesMax: 1000, oneRowOfAKey: false }

test('a window is bounded by rows', () => {
  const rows = ['a', 'b', 'c'].map((key) => row(key))
  const { window, rest } = takeWindow(rows, { ...plain, rowsMax: 2 })
  expect([window, rest]).toEqual([rows.slice(0, 2), rows.slice(2)])
})

test('a window is bounded by bytes, and a row that is larger than that goes alone', () => {
  const rows = [row('a', 600), row('b', 400), row('c', 1), row('d', 5000), row('e')]
  const first = takeWindow(rows, plain)
  const second = takeWindow(first.rest, plain)
  const third = takeWindow(second.rest, plain)
  expect([first.window, second.window, third.window]).toEqual([
    rows.slice(0, 2),
    rows.slice(2, 3),
    rows.slice(3, 4),
  ])
})

test('with one row of a key, windows together hold every row once, each key in order', () => {
  const rowsOf = fc.array(
    fc.record({ key: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: 1, max: 600 }) }),
    { maxLength: 40, size: 'max' },
  )
  fc.assert(
    fc.property(rowsOf, (definitions) => {
      const rows = definitions.map(({ key, bytes }) => row(key, bytes))
      const taken: FetchedRow[] = []
      let left = rows
      while (left.length > 0) {
        const { window, rest } = takeWindow(left, {
          rowsMax: 5,
          bytesMax: 1000,
          oneRowOfAKey: true,
        })
        expect(new Set(window.map(({ key }) => key)).size).toBe(window.length)
        expect(window.length).toBeGreaterThan(0)
        taken.push(...window)
        left = rest
      }
      expect(taken.toSorted((a, b) => a.id - b.id)).toEqual(rows)
      for (const ofKey of Map.groupBy(taken, ({ key }) => key).values()) {
        expect(ofKey).toEqual(ofKey.toSorted((a, b) => a.id - b.id))
      }
    }),
  )
})

test('express rows overtake what waits, every fifth is a standard one, and each class keeps its order', () => {
  const standard = ['a', 'b', 'c', 'd'].map((key) => row(key))
  const express = ['e', 'f', 'g', 'h', 'i', 'j'].map((key) => row(key, 10, 'orders.express'))
  const isExpress = (destination: string) => destination.endsWith('.express')
  const bounds = { ...plain, rowsMax: 6, isExpress }
  const first = takeWindow([...standard, ...express], bounds)
  expect(first.window).toEqual([express[0], standard[0], ...express.slice(1, 5)])
  // What came meanwhile overtakes in the next window.
  const late = row('k', 10, 'orders.express')
  const second = takeWindow([...first.rest, late], bounds)
  expect(second.window).toEqual([express[5], standard[1], late, ...standard.slice(2)])
  expect(second.rest).toEqual([])
})

test('while express rows fill a window by their size, one standard row is taken with them all the same', () => {
  const standard = [row('a', 900), row('b', 900)]
  const express = ['c', 'd', 'e'].map((key) => row(key, 900, 'orders.express'))
  const isExpress = (destination: string) => destination.endsWith('.express')
  const bounds = { ...plain, bytesMax: 1000, isExpress }
  const { window, rest } = takeWindow([...standard, ...express], bounds)
  expect(window).toEqual([express[0], standard[0]])
  expect(takeWindow(rest, bounds).window).toEqual([express[1], standard[1]])
})

test('of a key only what was acknowledged before its first failure is delivered', () => {
  const rows = ['a', 'b', 'a', 'a', 'b'].map((key) => row(key))
  const judgement = judge(rows, [undefined, undefined, away, undefined, undefined])
  expect(judgement.delivered.map(({ id }) => rows.findIndex((r) => r.id === id))).toEqual([0, 1, 4])
  expect(judgement.undelivered.map(({ id }) => rows.findIndex((r) => r.id === id))).toEqual([2, 3])
  expect([...judgement.failures]).toEqual([['orders', away]])
})

test('a key that has rows for two destinations waits at the one that failed only', () => {
  const rows = [row('a', 1, 'orders'), row('a', 1, 'payments')]
  expect(judge(rows, [away, undefined]).delivered).toEqual(rows.slice(1))
})

test('a row that can never be published is dead and says nothing of its destination, nor do those behind it', () => {
  const rows = ['a', 'a', 'b', 'a', 'c'].map((key) => row(key))
  const judgement = judge(rows, [tooLarge, heldBack, undefined, tooLarge, tooLarge])
  expect(judgement.dead).toEqual([
    { row: rows[0], error: tooLarge },
    { row: rows[4], error: tooLarge },
  ])
  expect(judgement.undelivered).toEqual([rows[1], rows[3]])
  expect(judgement.delivered).toEqual([rows[2]])
  expect(judgement.failures.size).toBe(0)
})

test('a dead row beside an outage: each is reported as what it is', () => {
  const rows = ['a', 'b', 'c'].map((key) => row(key))
  const judgement = judge(rows, [away, tooLarge, away])
  expect(judgement.failures.get('orders')).toBe(away)
  expect(judgement.dead.map(({ row: { id } }) => id)).toEqual([rows[1]?.id])
  expect(judgement.undelivered).toEqual([rows[0], rows[2]])
})

test('a row without an answer is not delivered', () => {
  const rows = ['a', 'b'].map((key) => row(key))
  expect(judge(rows, [undefined]).undelivered).toEqual(rows.slice(1))
})
