import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { createApi, type NewOrder } from '../src/api.ts'
import { appNames } from '../src/app-process.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'
import { type EndWatch, withWatchedSystem } from './end-watch.ts'
import { percentile } from './http-load.ts'
import type { BenchmarkContext, Row } from './types.ts'

const waitingOrders = 5000
const placedAtOnce = 50
const probesMax = 40
const skus = Array.from({ length: 200 }, (_, index) => `bench-${index}`)

/**
 * What express is worth: `waitingOrders` standard orders are placed while the inventory-service is down, so that each has a command
 * waiting. When it is back, an express order is placed, and the next one when that has ended, as long as standard ones are under way;
 * a standard order that was placed beside the first shows what they would have waited.
 */
export async function run({ log }: BenchmarkContext): Promise<Row[]> {
  const env = Object.fromEntries(appNames.map((app) => [app, { LOG_LEVEL: 'warn' }]))
  const start = (): Promise<System> => startSystem(`bench-priority-${process.pid}`, env)
  return await withWatchedSystem(start, async (system, watch) => {
    const place = await prepare(system, watch)
    log('warm-up')
    await placeMany(place, 500)
    await watch.allEnded(500)
    watch.reset()
    const inventory = system.apps['inventory-service']
    await inventory.stop()
    log(`${waitingOrders} standard orders`)
    await placeMany(place, waitingOrders)
    await untilPublished(system)
    inventory.start()
    await inventory.ready()
    log('express orders, one after the other')
    const measured = await probe(place, watch)
    log(`each took, in ms: ${measured.expressMs.map((ms) => Math.round(ms)).join(', ')}`)
    const books = await settleBooks(system.databases, system.gatewayUrl, 60_000)
    if (!books.balanced) throw new Error(`the books do not balance:\n${formatBooks(books)}`)
    return rowsOf(measured)
  })
}

type Place = (priority: 'standard' | 'express') => Promise<string>

async function prepare(system: System, watch: EndWatch): Promise<Place> {
  const api = createApi(serviceUrls(system))
  for (const sku of skus) {
    await api.putProduct(sku, 250)
    await api.receiveStock(sku, 1_000_000)
  }
  const order = { customerId: 'bench', currency: 'EUR', paymentToken: 'tok_ok' }
  let placed = 0
  return async (priority) => {
    placed += 1
    const lines = [{ sku: skus[placed % skus.length] ?? '', quantity: 1 }]
    const body: NewOrder = { ...order, lines, coordination: 'orchestrated', priority }
    const { orderId } = await api.placeOrder(body)
    watch.accepted(orderId)
    return orderId
  }
}

async function placeMany(place: Place, count: number): Promise<void> {
  let left = count
  const customer = async (): Promise<void> => {
    while (left-- > 0) await place('standard')
  }
  await Promise.all(Array.from({ length: placedAtOnce }, customer))
}

/** Then every command lies in its queue. */
async function untilPublished({ databases }: System): Promise<void> {
  const client = new pg.Client({ connectionString: databases.orders })
  await client.connect()
  try {
    for (;;) {
      const { rowCount } = await client.query('select 1 from outbox limit 1')
      if (rowCount === 0) return
      await sleep(20)
    }
  } finally {
    await client.end()
  }
}

interface Measured {
  /** How many standard orders had not ended when each express order was placed. */
  backlogs: number[]
  expressMs: number[]
  /** Of the standard order that was placed beside the first of them. */
  standardMs: number
  /** Standard orders that ended in a second, while there was an express one. */
  standardPerSecond: number
}

async function probe(place: Place, watch: EndWatch): Promise<Measured> {
  const backlogs: number[] = []
  const expressMs: number[] = []
  const standard = waitingOrders + 1
  const startedAt = performance.now()
  const beside = await place('standard')
  const endedStandard = (): number => watch.count() - expressMs.length
  while (expressMs.length < probesMax && endedStandard() < standard) {
    backlogs.push(standard - endedStandard())
    const placedAt = performance.now()
    expressMs.push((await watch.ended(await place('express'))) - placedAt)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const standardPerSecond = endedStandard() / seconds
  const standardMs = (await watch.ended(beside)) - startedAt
  await watch.allEnded(standard + expressMs.length)
  return { backlogs, expressMs, standardMs, standardPerSecond }
}

function rowsOf({ backlogs, expressMs, standardMs, standardPerSecond }: Measured): Row[] {
  const settings = { waiting: waitingOrders, probes: expressMs.length }
  const row = (metric: string, value: number, unit: string): Row => {
    return { benchmark: 'priority', metric, value, unit, settings }
  }
  return [
    row('standard orders waiting, at the first express one', backlogs[0] ?? 0, 'orders'),
    row('standard orders waiting, at the last express one', backlogs.at(-1) ?? 0, 'orders'),
    row('express: placed → ended p50', percentile(expressMs, 0.5), 'ms'),
    row('express: placed → ended p99', percentile(expressMs, 0.99), 'ms'),
    row('standard, placed with the first express one: placed → ended', standardMs, 'ms'),
    row('standard orders ended meanwhile', standardPerSecond, 'orders/s'),
  ]
}
