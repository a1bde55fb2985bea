import { expect, test } from 'vitest'
import { Caution } from './caution.ts'

const bounds = { messagesMax: 3, durationMaxMs: 1000 }

function pass(caution: Caution, source: string, count: number): void {
  for (let n = 0; n < count; n += 1) caution.pass(source)
}

test('nobody is cautious before somebody was killed', () => {
  const caution = new Caution(bounds)
  expect(caution.found([], 0)).toBe(false)
  expect(caution.isOn('t/0', 0)).toBe(false)
})

test('each partition is passed by itself, by as many new messages as can have been in hand', () => {
  const caution = new Caution(bounds)
  expect(caution.found(['one'], 0)).toBe(true)
  pass(caution, 't/0', 2)
  expect(caution.isOn('t/0', 10)).toBe(true)
  pass(caution, 't/0', 1)
  expect([caution.isOn('t/0', 10), caution.isOn('t/1', 10)]).toEqual([false, true])
})

test('a process that was killed is noticed once, and the next one begins it anew', () => {
  const caution = new Caution(bounds)
  caution.found(['one'], 0)
  pass(caution, 't/0', 3)
  expect(caution.found(['one'], 10)).toBe(false)
  expect(caution.isOn('t/0', 10)).toBe(false)
  expect(caution.found(['one', 'two'], 20)).toBe(true)
  expect(caution.isOn('t/0', 20)).toBe(true)
})

test('it is over after its time, whatever has not come', () => {
  const caution = new Caution(bounds)
  caution.found(['one'], 100)
  expect(caution.isOn('t/0', 1099)).toBe(true)
  expect(caution.isOn('t/0', 1100)).toBe(false)
})
