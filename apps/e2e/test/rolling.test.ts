import { randomInt } from 'node:crypto'
import { rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { expectAllEnded } from '../src/account.ts'
import { untilAllTold } from '../src/all-told.ts'
import { createApi } from '../src/api.ts'
import type { AppName, AppProcess } from '../src/app-process.ts'
import { startLoad } from '../src/load.ts'
import { buildCopy, patchedCopy, replaced, sagasByVersion } from '../src/next-version.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { replaySagas } from '../src/refinement.ts'
import { startSystem, type System } from '../src/system.ts'

// Eight services are replaced: three minutes were too few on a machine that is busy otherwise.
vi.setConfig({ testTimeout: 360_000 })

let system: System
/** The next version; and the one after it, which starts sagas of version 2. */
let [next, further] = ['', '']

beforeAll(async () => {
  next = await patchedCopy('next-version.patch')
  await buildCopy(next, replaced)
  further = await patchedCopy('next-saga.patch', { from: next })
  await buildCopy(further, ['order-service'])
  system = await startSystem(`rolling-${process.pid}`)
})

afterAll(async () => {
  const codes = await system.stop()
  for (const folder of [next, further]) rmSync(folder, { recursive: true, force: true })
  expect(new Set(Object.values(codes)), 'exit codes').toEqual(new Set([0]))
})

it('fails no request, loses and doubles nothing when each service is replaced by its next version under load', async () => {
  const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31))
  console.log(`SEED=${seed}`)
  const urls = serviceUrls(system)
  const load = await startLoad({ api: createApi(urls), seed, ordersPerSecond: 10 })
  const running: Record<AppName, AppProcess> = { ...system.apps }
  // A new process joins and is ready; new requests go to it; then the old one ends in order.
  const replace = async (app: AppName, folder: string): Promise<void> => {
    const [old, joining] = [running[app], await system.replica(app, folder)]
    joining.start()
    await joining.ready()
    await load.more(10)
    if (app === 'order-service') urls.orders = joining.url
    expect(await old.stop(), `exit code of ${app}`).toBe(0)
    running[app] = joining
  }
  await load.more(25)
  for (const app of replaced) await replace(app, next)
  await replace('order-service', further)
  await load.more(50)
  const accepted = await load.stop()

  expect(load.failures()).toEqual([])
  // Of both versions of the saga, only the next order-service can decide.
  const replay = () => replaySagas(system.databases.orders, further)
  await expectAllEnded(system, accepted, { timeoutMs: 120_000, replay })
  expect(await untilAllTold(system)).toBe(0)
  const sagas = await sagasByVersion(system.databases.orders)
  expect(Object.keys(sagas)).toEqual(['v1', 'v2'])
})
