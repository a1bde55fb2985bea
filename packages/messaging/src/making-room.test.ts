import { expect, test } from 'vitest'
import { classShares } from './making-room.ts'

function sharesAt(restPerBatch: number) {
  const clock = { ms: 5000 }
  return { clock, ...classShares(restPerBatch, () => clock.ms) }
}

test('a standard batch is followed by a rest while express messages come, and for a second after', () => {
  const { clock, express, standard } = sharesAt(3)
  expect(standard.restMs(100)).toBe(0)
  express.took()
  expect(standard.restMs(100)).toBe(300)
  clock.ms += 999
  expect(standard.restMs(100)).toBe(300)
  clock.ms += 1
  expect(standard.restMs(100)).toBe(0)
})

test('no rest is longer than a second, whatever a batch took', () => {
  const { express, standard } = sharesAt(3)
  express.took()
  expect(standard.restMs(60_000)).toBe(1000)
})

test('express messages never rest, and standard ones bring no rest about', () => {
  const { express, standard } = sharesAt(3)
  standard.took()
  expect(standard.restMs(100)).toBe(0)
  express.took()
  expect(express.restMs(100)).toBe(0)
})

test('with 0 nobody rests', () => {
  const { express, standard } = sharesAt(0)
  express.took()
  expect(standard.restMs(100)).toBe(0)
})
