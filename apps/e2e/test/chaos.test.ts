import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { untilAllTold } from '../src/all-told.ts'
import { coordinations } from '../src/api.ts'
import { runChaos } from '../src/chaos.ts'
import { startServers } from '../src/servers.ts'
import { startSystem, type System } from '../src/system.ts'

// `pnpm chaos` is the same with 2,000 orders of each style.
const orders = 300

let system: System

beforeAll(async () => {
  system = await startSystem(`chaos-test-${process.pid}`)
})

afterAll(async () => {
  await startServers()
  await system.stop()
})

it('ends every order of both styles while each app is killed twice and both brokers are restarted', async () => {
  const seed = Number(process.env['SEED'] ?? randomInt(1, 2 ** 31))
  console.log(`SEED=${seed}`)
  const outcomes = await runChaos(system, { orders, seed, tell: (line) => console.log(line) })
  for (const coordination of coordinations) {
    const ofStyle = outcomes.filter((outcome) => outcome.coordination === coordination)
    expect(ofStyle.map((outcome) => outcome.status)).toEqual(['cancelled', 'confirmed'])
    expect(ofStyle.reduce((sum, { count }) => sum + count, 0)).toBe(orders)
    // Half were to be refused or given up: far from none and far from all.
    for (const { count } of ofStyle) expect(count).toBeGreaterThan(orders / 4)
  }
  // One for each e-mail that was under way when a process of either side was killed, at most: each side twice.
  expect(await untilAllTold(system)).toBeLessThanOrEqual(40)
})
