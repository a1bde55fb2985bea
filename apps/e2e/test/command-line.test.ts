import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { fromSource } from '@edp/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, createApi } from '../src/api.ts'
import { expectAllEnded } from '../src/account.ts'
import { repositoryRoot } from '../src/stack-settings.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

const main = join(repositoryRoot, 'apps/edp-cli/src/main.ts')

let system: System
let api: Api

beforeAll(async () => {
  system = await startSystem(`command-line-${process.pid}`)
  api = createApi(serviceUrls(system))
  await api.putProduct('cup', 1250)
  await api.receiveStock('cup', 100)
})

afterAll(async () => {
  await system.stop()
})

/** `pnpm edp` as a person runs it, pointed at this system by the environment. */
async function edp(...words: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [...fromSource.args, main, ...words], {
    cwd: repositoryRoot,
    env: {
      PATH: process.env['PATH'],
      ...fromSource.env,
      EDP_ORDER_SERVICE_URL: system.apps['order-service'].url,
      EDP_PAYMENT_SERVICE_URL: system.apps['payment-service'].url,
      EDP_OUTBOX_RELAY_URL: system.apps['outbox-relay'].url,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, out, err }
}

function placedId(out: string): string {
  return /"orderId": "([^"]+)"/.exec(out)?.[1] ?? ''
}

describe('pnpm edp against the running system', () => {
  it('places an order once, however often, and watches it to its end', async () => {
    const key = randomUUID()
    const words = ['orders', 'place', 'cup=2', '--customer', 'ada', '--key', key]
    const first = await edp(...words, '--json')
    const again = await edp(...words, '--json')
    expect([first.code, again.code]).toEqual([0, 0])
    expect(placedId(again.out)).toBe(placedId(first.out))
    const watched = await edp('orders', 'watch', placedId(first.out))
    expect([watched.code, watched.out.trimEnd().split('\n').at(-1)]).toEqual([
      0,
      'the order is confirmed',
    ])
    expect((await edp('orders', 'list', '--customer', 'ada')).out).toContain('25.00 EUR')
    expect((await edp('orders', 'show', placedId(first.out))).out).toContain('order.confirmed.v1')
    const late = await edp('orders', 'cancel', placedId(first.out))
    expect([late.code, late.err]).toEqual([
      1,
      'edp: Conflict (409): The order is confirmed and will be shipped.\n',
    ])
  })

  it('shows a saga, and is refused with what cannot be done to it any more', async () => {
    const { out } = await edp('orders', 'place', 'cup', '--customer', 'ada', '--watch', '--json')
    const sagaId = placedId(out)
    const shown = await edp('sagas', 'show', sagaId)
    expect(shown.out).toMatch(/^status +completed$/m)
    const refused = await edp('sagas', 'cancel', sagaId, '--why', 'a test')
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('Cannot cancel this saga')
    const stale = await edp('sagas', 'retry', sagaId, '--version', '1', '--why', 'a test')
    expect(stale.err).toContain('edp: Precondition Failed (412): The saga is at version')
    expect((await edp('sagas', 'list', '--status', 'completed')).out).toContain(sagaId)
    expect((await edp('payments', 'list', '--order', sagaId)).out).toContain('captured')
  })

  it('says what the service says of a request that does not fit', async () => {
    const { code, err } = await edp('orders', 'show', 'nonsense')
    expect(code).toBe(1)
    expect(err).toContain('params.id: expected a UUID of version 7')
  })

  it('leaves the books balanced', async () => {
    const { out } = await edp('orders', 'list', '--json', '--limit', '100')
    const ids = [...out.matchAll(/"orderId": "([^"]+)"/g)].map(([, id = '']) => id)
    await expectAllEnded(system, ids)
  })
})
