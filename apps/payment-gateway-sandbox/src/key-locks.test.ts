import { expect, test } from 'vitest'
import { createKeyLocks } from './key-locks.ts'

test('work of one key never overlaps and keeps its order, also after a failure', async () => {
  const locks = createKeyLocks()
  const seen: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = locks('a', async () => {
    seen.push('first starts')
    await gate.promise
    seen.push('first ends')
    throw new Error('broken')
  })
  const second = locks('a', async () => seen.push('second'))
  await locks('b', async () => seen.push('other key'))
  gate.resolve()
  await expect(first).rejects.toThrow('broken')
  await second
  expect(seen).toEqual(['first starts', 'other key', 'first ends', 'second'])
})
