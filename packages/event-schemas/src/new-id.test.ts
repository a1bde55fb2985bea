import { expect, test, vi } from 'vitest'
import { z } from 'zod'
import { newId } from './new-id.ts'

test('ids are uuid v7 of now, and none comes twice', () => {
  const before = Date.now()
  const ids = Array.from({ length: 20_000 }, newId)
  for (const id of ids) z.uuidv7().parse(id)
  expect(new Set(ids).size).toBe(ids.length)
  const madeAt = Number.parseInt((ids[0] ?? '').replaceAll('-', '').slice(0, 12), 16)
  expect(madeAt).toBeGreaterThanOrEqual(before)
  expect(madeAt).toBeLessThanOrEqual(Date.now())
})

test('later ids sort later, also within a millisecond, when its counter overflows, and when the clock goes back', () => {
  vi.useFakeTimers({ now: Date.now() + 60_000 })
  try {
    const ids = Array.from({ length: 10_000 }, newId)
    vi.setSystemTime(Date.now() - 5000)
    ids.push(newId())
    expect(ids.toSorted()).toEqual(ids)
  } finally {
    vi.useRealTimers()
  }
})
