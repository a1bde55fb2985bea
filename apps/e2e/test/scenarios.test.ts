import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createApi } from '../src/api.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { type ScenarioContext, scenarios } from '../src/scenarios.ts'
import { serviceUrls, startSystem, type System } from '../src/system.ts'

let system: System
let context: ScenarioContext

beforeAll(async () => {
  system = await startSystem(`scenarios-${process.pid}`)
  context = { api: createApi(serviceUrls(system)), tell: () => undefined }
})

afterAll(async () => {
  const codes = await system.stop()
  expect(new Set(Object.values(codes)), 'exit codes').toEqual(new Set([0]))
})

describe('an order over HTTP, through Kafka and back', () => {
  // A scenario throws when an order, its money or its stock did not end as it must.
  it.each(scenarios)('$title', async (scenario) => {
    await expect(scenario.run(context)).resolves.toBeUndefined()
  })

  it('leaves balanced books when all have ended', async () => {
    const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
    expect(books.balanced, formatBooks(books)).toBe(true)
  })
})
