import { randomUUID } from 'node:crypto'
import { Pool } from 'undici'
import { type Coordination, createApi } from '../src/api.ts'
import { type AppName, appNames } from '../src/app-process.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'
import { cpuPer, readCpu } from './cpu.ts'
import { type EndWatch, withWatchedSystem } from './end-watch.ts'
import { closedLoop, type LoadResult, openLoop, percentile, post } from './http-load.ts'
import type { BenchmarkContext, Row } from './types.ts'

const connections = 200
const saturatedSeconds = 15
const openLoopSeconds = 20
const warmUpSeconds = 5
const warmUpRoundsMax = 15
// Of an order that is confirmed: stock.reserve and payment.capture, each with its reply.
const commandSteps = 2

/** What an order passes on its way. The others only hear of it afterwards, and would take the cores from it. */
const onItsWay: readonly AppName[] = [
  'payment-gateway-sandbox',
  'order-service',
  'inventory-service',
  'payment-service',
  'outbox-relay',
]

/** How orders of each style are offered in an open loop: what two cores can carry, and less. */
const openLoopsPerSecond: Record<Coordination, readonly number[]> = {
  choreographed: [1000, 300],
  orchestrated: [600],
}

/** Both styles one after the other, and what a saga costs more than a choreography. */
export async function run(context: BenchmarkContext): Promise<Row[]> {
  return await runBoth(context, onItsWay)
}

/** The same with every app that there is: who tells the customers, counts and watches shares the two cores. */
export async function runEveryApp(context: BenchmarkContext): Promise<Row[]> {
  return await runBoth(context, appNames)
}

async function runBoth(context: BenchmarkContext, apps: readonly AppName[]): Promise<Row[]> {
  const choreographed = await runStyle('choreographed', context, apps)
  const orchestrated = await runStyle('orchestrated', context, apps)
  return [
    ...choreographed.rows,
    ...orchestrated.rows,
    ...sagaCost(choreographed.saturated, orchestrated.saturated),
  ]
}

/** One style alone. */
export async function runChoreographed(context: BenchmarkContext): Promise<Row[]> {
  return (await runStyle('choreographed', context, onItsWay)).rows
}

/** One style alone. */
export async function runOrchestrated(context: BenchmarkContext): Promise<Row[]> {
  return (await runStyle('orchestrated', context, onItsWay)).rows
}

/**
 * Whole orders of one style with these apps, every server and this load on one machine: saturated, with one hot product, and in an open
 * loop; each with the CPU that an order costs, by process.
 */
async function runStyle(
  coordination: Coordination,
  context: BenchmarkContext,
  apps: readonly AppName[],
): Promise<{ rows: Row[]; saturated: Measured }> {
  const env = Object.fromEntries(apps.map((app) => [app, { LOG_LEVEL: 'warn' }]))
  const start = (): Promise<System> =>
    startSystem(`bench-${coordination}-${process.pid}`, env, apps)
  return await withWatchedSystem(start, async (system, watch) => {
    const bench = await prepare(system, watch, coordination)
    context.log(`${coordination}: warm-up`)
    await warmUp(bench, context)
    const rows: Row[] = []
    context.log(`${coordination}: saturated, ${connections} connections, ${saturatedSeconds} s`)
    const many = await saturated(bench, bench.many)
    rows.push(...rowsOf({ style: coordination, load: 'saturated', connections }, many))
    context.log(`${coordination}: saturated, one hot product`)
    const hot = await saturated(bench, bench.hot)
    const hotLoad = 'saturated, one hot product'
    rows.push(...rowsOf({ style: coordination, load: hotLoad, connections }, hot))
    const ratio = hot.endedPerSecond / many.endedPerSecond
    rows.push(rowOf({ style: coordination }, 'hot product / many products', ratio, ''))
    for (const perSecond of openLoopsPerSecond[coordination]) {
      context.log(`${coordination}: open loop at ${perSecond}/s, ${openLoopSeconds} s`)
      const measured = await bench.load(
        (send) => openLoop(send, { perSecond, seconds: openLoopSeconds }),
        bench.many,
      )
      rows.push(...rowsOf({ style: coordination, load: `open loop ${perSecond}/s` }, measured))
    }
    const { statistics, ...databases } = system.databases
    const counted = apps.includes('order-statistics') ? { ...databases, statistics } : databases
    const books = await settleBooks(counted, system.gatewayUrl, 60_000)
    if (!books.balanced) throw new Error(`the books do not balance:\n${formatBooks(books)}`)
    return { rows, saturated: many }
  })
}

/**
 * What an order costs more when it is orchestrated, by process, each style saturated: then batches are full in both, while at
 * one rate the cheaper style would have the smaller batches. Divided by the steps that are commands, for one step.
 */
function sagaCost(choreographed: Measured, orchestrated: Measured): Row[] {
  const settings = { style: 'orchestrated − choreographed', load: 'saturated', connections }
  const names = new Set([...choreographed.cpuMs.keys(), ...orchestrated.cpuMs.keys()])
  const more = [...names].map((name) => {
    const ms = (orchestrated.cpuMs.get(name) ?? 0) - (choreographed.cpuMs.get(name) ?? 0)
    return rowOf(settings, `CPU an order: ${name}`, ms, 'ms')
  })
  const all = systemCpuMs(orchestrated) - systemCpuMs(choreographed)
  return [
    ...more,
    rowOf(settings, 'CPU an order: all but the load generator', all, 'ms'),
    rowOf(settings, 'CPU a saga step: all but the load generator', all / commandSteps, 'ms'),
  ]
}

interface Measured extends LoadResult {
  /** From the 202 to the event that the order has ended, for each order. */
  endsMs: number[]
  /** Orders that ended in a second, from the first request to the last end. */
  endedPerSecond: number
  /** Milliseconds of CPU for each order, by process. */
  cpuMs: ReadonlyMap<string, number>
}

type Drive = (send: (index: number) => Promise<void>) => Promise<LoadResult>

interface Bench {
  many: readonly string[]
  hot: readonly string[]
  load(drive: Drive, skus: readonly string[]): Promise<Measured>
}

async function prepare(
  system: System,
  watch: EndWatch,
  coordination: Coordination,
): Promise<Bench> {
  const api = createApi(serviceUrls(system))
  const many = Array.from({ length: 200 }, (_, index) => `bench-${index}`)
  const hot = ['bench-hot']
  for (const sku of [...many, ...hot]) {
    await api.putProduct(sku, 250)
    await api.receiveStock(sku, 1_000_000)
  }
  const pool = new Pool(serviceUrls(system).orders, { connections, pipelining: 1 })
  const load = async (drive: Drive, skus: readonly string[]): Promise<Measured> => {
    const cpuBefore = readCpu(pidsOf(system))
    const startedAt = performance.now()
    watch.reset()
    const result = await drive(async (index) => {
      const lines = [{ sku: skus[index % skus.length], quantity: 1 }]
      const text = await post(pool, '/orders', {
        status: 202,
        headers: { 'idempotency-key': randomUUID() },
        body: JSON.stringify({
          customerId: 'bench',
          currency: 'EUR',
          paymentToken: 'tok_ok',
          coordination,
          lines,
        }),
      })
      // The id is the first thing of the answer; parsing all of it would load the machine that is measured.
      watch.accepted(/"orderId":"([^"]+)"/.exec(text)?.[1] ?? '')
    })
    const endsMs = await watch.allEnded(result.latenciesMs.length)
    const seconds = (watch.lastEndAt() - startedAt) / 1000
    const cpuMs = cpuPer(cpuBefore, readCpu(pidsOf(system)), endsMs.length)
    return { ...result, endsMs, endedPerSecond: endsMs.length / seconds, cpuMs }
  }
  return { many, hot, load }
}

/**
 * In rounds, until two in a row were no faster than the best before them: what the compilers of Node and of Kafka's JVM have not reached
 * yet runs at a third of its speed, on a slow machine for most of a minute, and whatever is measured first would look slow.
 */
async function warmUp(bench: Bench, context: BenchmarkContext): Promise<void> {
  let bestPerSecond = 0
  let slowerRounds = 0
  for (let round = 1; round <= warmUpRoundsMax && slowerRounds < 2; round += 1) {
    const { endedPerSecond } = await saturated(bench, bench.many, warmUpSeconds)
    context.log(`  warm-up, ${warmUpSeconds} s: ${endedPerSecond.toFixed(0)} orders/s`)
    slowerRounds = endedPerSecond < bestPerSecond * 1.05 ? slowerRounds + 1 : 0
    bestPerSecond = Math.max(bestPerSecond, endedPerSecond)
  }
}

function saturated(
  bench: Bench,
  skus: readonly string[],
  seconds = saturatedSeconds,
): Promise<Measured> {
  return bench.load((send) => closedLoop(send, { connections, seconds }), skus)
}

function rowOf(settings: Row['settings'], metric: string, value: number, unit: string): Row {
  return { benchmark: 'orders', metric, value, unit, settings }
}

function rowsOf(settings: Row['settings'], measured: Measured): Row[] {
  const row = (metric: string, value: number, unit: string): Row =>
    rowOf(settings, metric, value, unit)
  return [
    row('accepted', measured.latenciesMs.length / measured.seconds, 'orders/s'),
    row('ended', measured.endedPerSecond, 'orders/s'),
    row('failed requests', measured.failed, ''),
    row('HTTP p50', percentile(measured.latenciesMs, 0.5), 'ms'),
    row('HTTP p99', percentile(measured.latenciesMs, 0.99), 'ms'),
    row('accepted → ended p50', percentile(measured.endsMs, 0.5), 'ms'),
    row('accepted → ended p99', percentile(measured.endsMs, 0.99), 'ms'),
    ...[...measured.cpuMs].map(([name, ms]) => row(`CPU an order: ${name}`, ms, 'ms')),
    row('CPU an order: all but the load generator', systemCpuMs(measured), 'ms'),
  ]
}

function systemCpuMs({ cpuMs }: Measured): number {
  return [...cpuMs].reduce((sum, [name, ms]) => (name === 'load generator' ? sum : sum + ms), 0)
}

function pidsOf(system: System): Record<string, number | undefined> {
  const started = Object.entries(system.apps).filter(([, app]) => app.running)
  const apps = started.map(([name, app]) => [name, app.pid])
  return { ...Object.fromEntries(apps), 'load generator': process.pid }
}
