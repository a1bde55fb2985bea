import { expect, test } from 'vitest'
import { WaitingCalls } from './waiting-calls.ts'

test('an express call waits for no line of standard ones', () => {
  const calls = new WaitingCalls<string>()
  for (let n = 1; n <= 5000; n += 1) calls.push(`standard ${n}`, 'standard')
  expect(calls.take()).toBe('standard 1')
  calls.push('express', 'express')
  expect(calls.take()).toBe('express')
  expect(calls.take()).toBe('standard 2')
  expect(calls.size).toBe(4998)
})

test('standard calls have their fifth, however many express ones come', () => {
  const calls = new WaitingCalls<'standard' | 'express'>()
  for (let n = 0; n < 20; n += 1) calls.push('standard', 'standard')
  const taken: string[] = []
  for (let n = 0; n < 50; n += 1) {
    for (let more = 0; more < 3; more += 1) calls.push('express', 'express')
    taken.push(calls.take() ?? 'none')
  }
  const four = Array<string>(4).fill('express')
  expect(taken).toEqual(Array.from({ length: 10 }, () => [...four, 'standard']).flat())
})

test('each line keeps its order, also of what was put back', () => {
  const calls = new WaitingCalls<number>()
  for (const n of [1, 2, 3]) calls.push(n, 'express')
  const first = calls.take()
  expect(first).toBe(1)
  calls.putBack(1, 'express')
  expect([calls.take(), calls.take(), calls.take(), calls.take()]).toEqual([1, 2, 3, undefined])
  expect(calls.clear()).toEqual([])
})
