import { randomInt } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { createApi } from '../src/api.ts'
import { appNames } from '../src/app-process.ts'
import { expectAllEnded, orderIds } from '../src/account.ts'
import { type Load, startLoad } from '../src/load.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

// Several are always under way: an order takes from a fifth of a second to three. Twice as many fill two cores, and the app that
// starts again waits for them.
const ordersPerSecond = 15

let system: System
let load: Load
/** Orders of the tests before this one. */
let before: ReadonlySet<string>

beforeAll(async () => {
  system = await startSystem(`crashes-${process.pid}`)
})

afterAll(async () => {
  await system.stop()
})

beforeEach(async () => {
  before = await orderIds(system.databases)
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))
  console.log(`SEED=${seed}`)
  load = await startLoad({ api: createApi(serviceUrls(system)), seed, ordersPerSecond })
  await load.more(25)
})

afterEach(async () => {
  await load.stop()
})

it('loses and doubles nothing when a second process of each service joins and is killed', async () => {
  for (const app of [
    'order-service',
    'inventory-service',
    'payment-service',
    'order-statistics',
    'outbox-relay',
  ] as const) {
    const second = await system.replica(app)
    second.start()
    await second.ready()
    await load.more(50)
    await second.kill()
  }
  await expectEnded()
})

it('loses and doubles nothing when all apps are restarted at once, and each exits with 0', async () => {
  const codes = await Promise.all(
    appNames.map(async (app) => [app, await system.apps[app].stop()] as const),
  )
  expect(codes, 'exit codes').toEqual(appNames.map((app) => [app, 0]))
  for (const app of appNames) system.apps[app].start()
  await Promise.all(appNames.map((app) => system.apps[app].ready()))
  await load.more(25)
  await expectEnded()
})

async function expectEnded(): Promise<void> {
  await expectAllEnded(system, await load.stop(), { before })
}
