import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { untilAllTold } from '../src/all-told.ts'
import { createApi } from '../src/api.ts'
import { appNames } from '../src/app-process.ts'
import { noFailures, readFailures } from '../src/failures.ts'
import { expectAllEnded, orderIds } from '../src/account.ts'
import { type Load, startLoad } from '../src/load.ts'
import { type Server, startServers, stopServer } from '../src/servers.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

// A minute where time does not matter: OUTAGE_SECONDS=60.
const outageSeconds = Number(process.env['OUTAGE_SECONDS'] ?? 5)
const ordersPerSecond = 25

let system: System
let load: Load
/** Orders of the tests before this one. */
let before: ReadonlySet<string>

beforeAll(async () => {
  system = await startSystem(`outages-${process.pid}`, {
    // A job that was under way when Redis stopped is taken up again after this; by default half a minute.
    'notification-service': { JOB_LOCK_MS: '5000' },
  })
})

afterAll(async () => {
  await system.stop()
})

beforeEach(async () => {
  before = await orderIds(system.databases)
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))
  console.log(`SEED=${seed}`)
  const api = createApi(serviceUrls(system))
  load = await startLoad({ api, seed, ordersPerSecond })
  await load.more(50)
})

afterEach(async () => {
  await startServers()
  await load.stop()
})

it('takes orders while Kafka is stopped, and ends all of them when it is back', async () => {
  const acceptedBefore = load.accepted()
  await outage('kafka')
  // The outbox absorbs it: no customer notices.
  expect(load.accepted() - acceptedBefore).toBeGreaterThan((outageSeconds * ordersPerSecond) / 2)
  await expectEnded()
  await expectUnharmed()
})

it('loses and doubles nothing when Postgres is stopped under load and started again', async () => {
  await outage('postgres')
  await load.more(100)
  await expectEnded()
  await expectUnharmed()
})

it('takes orders while RabbitMQ is stopped in the middle of sagas, and ends all of them when it is back', async () => {
  const acceptedBefore = load.accepted()
  await outage('rabbitmq')
  expect(load.accepted() - acceptedBefore).toBeGreaterThan((outageSeconds * ordersPerSecond) / 2)
  await expectEnded()
  await expectUnharmed()
})

it('takes and ends orders while Redis is stopped, and tells every customer when it is back', async () => {
  const acceptedBefore = load.accepted()
  await outage('redis')
  expect(load.accepted() - acceptedBefore).toBeGreaterThan((outageSeconds * ordersPerSecond) / 2)
  await expectEnded()
  expect(await untilAllTold(system)).toBe(0)
  await expectUnharmed()
})

async function expectEnded(): Promise<void> {
  await expectAllEnded(system, await load.stop(), { timeoutMs: 120_000, before })
}

async function outage(server: Server): Promise<void> {
  pids = appNames.map((app) => system.apps[app].pid)
  await stopServer(server)
  await sleep(outageSeconds * 1000)
  await startServers()
}

let pids: (number | undefined)[] = []

/** An outage is waited for: no process ends over it, nothing is dead, and no attempt was used. */
async function expectUnharmed(): Promise<void> {
  for (const [index, app] of appNames.entries()) {
    expect(system.apps[app].running, `${app} runs\n${system.apps[app].logTail()}`).toBe(true)
    expect(system.apps[app].pid).toBe(pids[index])
    await system.apps[app].ready()
  }
  expect(await readFailures(system)).toEqual(noFailures)
}
