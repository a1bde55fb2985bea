import { expect, test } from 'vitest'
import { randomOf, uniqueNamespace } from './random.ts'

test('a seed repeats its numbers and another seed has others', () => {
  const draw = (seed: number) => {
    const random = randomOf(seed)
    return Array.from({ length: 20 }, () => random.below(1000))
  }
  expect(draw(7)).toEqual(draw(7))
  expect(draw(7)).not.toEqual(draw(8))
})

test('a namespace is unique and fits the setting', () => {
  const names = new Set(Array.from({ length: 100 }, uniqueNamespace))
  expect(names.size).toBe(100)
  for (const name of names) expect(name).toMatch(/^[a-z][a-z0-9-]*$/)
})
