import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

test('work runs together until somebody wants to be alone, and nothing runs beside that', async () => {
  const turns = new Turns()
  const log: string[] = []
  const gates = [gate(), gate(), gate(), gate()]
  const step = (name: string, index: number) => async () => {
    log.push(`${name} begins`)
    await gates[index]?.opened
    log.push(`${name} ends`)
  }
  const all = [
    turns.together(step('a', 0)),
    turns.together(step('b', 1)),
    turns.alone(step('c', 2)),
    turns.together(step('d', 3)),
  ]
  await new Promise(setImmediate)
  expect(log).toEqual(['a begins', 'b begins'])
  for (const { open } of gates) {
    open()
    await new Promise(setImmediate)
  }
  await Promise.all(all)
  expect(log).toEqual([
    'a begins',
    'b begins',
    'a ends',
    'b ends',
    'c begins',
    'c ends',
    'd begins',
    'd ends',
  ])
})

test('many of both kinds never break the rule, and all of them run', async () => {
  const turns = new Turns()
  let [together, alone, done] = [0, 0, 0]
  const work = async (kind: 'together' | 'alone') => {
    if (kind === 'alone') alone += 1
    else together += 1
    expect(alone === 0 || (alone === 1 && together === 0)).toBe(true)
    await new Promise(setImmediate)
    if (kind === 'alone') alone -= 1
    else together -= 1
    done += 1
  }
  const kinds = Array.from({ length: 300 }, (_, n) => (n % 7 === 3 ? 'alone' : 'together'))
  await Promise.all(kinds.map((kind) => turns[kind](() => work(kind))))
  expect(done).toBe(300)
})

test('work that fails gives its turn back', async () => {
  const turns = new Turns()
  const fails = async () => {
    throw new Error('no')
  }
  await expect(turns.alone(fails)).rejects.toThrow('no')
  await expect(turns.together(fails)).rejects.toThrow('no')
  expect(await turns.alone(async () => 1)).toBe(1)
})
