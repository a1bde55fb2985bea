import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { runFuzz } from '../src/fuzz/fuzz.ts'
import { startSystem, type System } from '../src/system.ts'

// `pnpm fuzz` is the same with as many as are asked for; nightly 100,000 of each.
const requests = 1000
const messages = 1500

let system: System

beforeAll(async () => {
  system = await startSystem(`fuzz-test-${process.pid}`)
})

afterAll(async () => {
  await system.stop()
})

it('answers or keeps whatever is sent to it, loses none of it, ends at nothing, and keeps its books', async () => {
  const seed = Number(process.env['SEED'] ?? randomInt(1, 2 ** 31))
  console.log(`SEED=${seed}`)
  const tell = (line: string): void => console.log(line)
  expect(await runFuzz(system, { requests, messages, seed, tell })).toEqual([])
})
