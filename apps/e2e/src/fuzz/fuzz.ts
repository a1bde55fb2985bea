import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, type Coordination, coordinations, createApi, type Order } from '../api.ts'
import { AppProcess, appNames, freePort } from '../app-process.ts'
import { formatBooks, settleBooks } from '../books.ts'
import { serviceUrls } from '../reachable-system.ts'
import type { System } from '../system.ts'
import { fuzzConsumers } from './fuzz-consumers.ts'
import { fuzzHttp, type HttpFuzzResult } from './fuzz-http.ts'
import type { KnownValues } from './openapi.ts'

export interface FuzzOptions {
  /** Requests to the routes of the services. */
  readonly requests: number
  /** Messages to their topics and queues. */
  readonly messages: number
  readonly seed: number
  /** Shows progress. */
  readonly tell: (line: string) => void
}

const settleTimeoutMs = 120_000
const wellTimeoutMs = 30_000
const pollIntervalMs = 200
const knownSku = 'fuzz-cup'
/** For the fuzzing alone: the provider's own ledger is one of the books. */
const spareGateway = 'payment-gateway-sandbox'

/**
 * Sends what nobody means to every route and every consumer of a running system. @returns what is wrong afterwards: a process that
 * ended, a service that is not well again, an answer that should not be, books that do not balance.
 */
export async function runFuzz(system: System, options: FuzzOptions): Promise<string[]> {
  const { tell } = options
  const api = createApi(serviceUrls(system))
  const known = await makeKnownValues(api)
  const problems: string[] = []
  for (const result of await fuzzServices(system, known, options)) {
    tell(`${result.name}: ${describeStatuses(result)}`)
    problems.push(...result.problems)
  }
  const { fates, problems: lost } = await fuzzConsumers(system, options)
  for (const fate of [...fates.keys()].toSorted()) tell(`${fates.get(fate)} × ${fate}`)
  problems.push(...lost, ...(await orderProblems(api)))
  const endings = await endingProblems(system)
  return [...problems, ...endings]
}

/** After all of it the system still does what it is for: an order of each style is confirmed. */
async function orderProblems(api: Api): Promise<string[]> {
  const deadline = Date.now() + settleTimeoutMs
  const orders = await Promise.all(
    coordinations.map((coordination) => placeGoodOrder(api, coordination)),
  )
  const problems: string[] = []
  for (const { orderId, coordination } of orders) {
    let { status } = await api.order(orderId)
    while (status === 'pending' && Date.now() < deadline) {
      await sleep(pollIntervalMs)
      ;({ status } = await api.order(orderId))
    }
    if (status !== 'confirmed') problems.push(`a good ${coordination} order is ${status}`)
  }
  return problems
}

function placeGoodOrder(api: Api, coordination: Coordination): Promise<Order> {
  const lines = [{ sku: knownSku, quantity: 1 }]
  const card = { currency: 'EUR', paymentToken: 'tok_ok' }
  return api.placeOrder({ customerId: 'fuzz', ...card, lines, coordination })
}

/** Orders of both styles and a product with stock: so that some requests and messages get past the first check. */
async function makeKnownValues(api: Api): Promise<KnownValues> {
  await api.putProduct(knownSku, 250)
  await api.receiveStock(knownSku, 100_000)
  const orders = await Promise.all(
    coordinations.map((coordination) => placeGoodOrder(api, coordination)),
  )
  const [first = '', ...others] = orders.map(({ orderId }) => orderId)
  const ids = [first, ...others] as const
  return {
    sku: [knownSku],
    id: ids,
    orderId: ids,
    cursor: ids,
    currency: ['EUR'],
    paymentToken: ['tok_ok', 'tok_declined'],
  }
}

async function fuzzServices(
  system: System,
  known: KnownValues,
  { requests: all, seed }: FuzzOptions,
): Promise<HttpFuzzResult[]> {
  const gateway = await startSpareGateway(system)
  const targets = appNames.map((name) => ({
    name,
    url: name === spareGateway ? gateway.url : system.apps[name].url,
  }))
  const requests = Math.ceil(all / targets.length)
  try {
    const results: HttpFuzzResult[] = []
    for (const [index, { name, url }] of targets.entries()) {
      results.push(await fuzzHttp({ name, url, requests, seed: seed + index, known }))
    }
    const wellness = await healthProblem(gateway)
    return [...results, { name: 'spare gateway', statuses: {}, problems: wellness }]
  } finally {
    await gateway.stop()
  }
}

async function startSpareGateway({ logDirectory }: System): Promise<AppProcess> {
  const gateway = new AppProcess({
    app: spareGateway,
    env: {
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: String(await freePort()),
      LEDGER_FILE: join(logDirectory, 'fuzzed-ledger.jsonl'),
      LOG_LEVEL: 'warn',
    },
    logFile: join(logDirectory, 'fuzzed-gateway.log'),
  })
  gateway.start()
  await gateway.ready()
  return gateway
}

/** What a system owes after everything: every process runs and is well, and the books balance. */
async function endingProblems(system: System): Promise<string[]> {
  // Not the statistics: they count what was made up, as they have to.
  const { statistics: _counted, ...databases } = system.databases
  const books = await settleBooks(databases, system.gatewayUrl, settleTimeoutMs)
  const health = await Promise.all(appNames.map((app) => healthProblem(system.apps[app])))
  return [...health.flat(), ...(books.balanced ? [] : [formatBooks(books)])]
}

/** What is wrong with a process that is not well again in time: one that has just met a fault tries again in a moment. */
async function healthProblem(app: AppProcess): Promise<string[]> {
  const deadline = Date.now() + wellTimeoutMs
  for (;;) {
    if (!app.running) return [`${app.app} ended by itself\n${app.logTail()}`]
    const { isWell, health } = await healthNow(app)
    if (isWell) return []
    if (Date.now() > deadline) return [`${app.app} is not well: ${health}`]
    await sleep(pollIntervalMs)
  }
}

async function healthNow({ url }: AppProcess): Promise<{ isWell: boolean; health: string }> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(5000) })
    const health = await response.text()
    return { isWell: response.ok && health.includes('"status":"ok"'), health }
  } catch (error) {
    return { isWell: false, health: String(error) }
  }
}

function describeStatuses({ statuses }: HttpFuzzResult): string {
  return Object.entries(statuses)
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([status, times]) => `${times} × ${status}`)
    .join(', ')
}
