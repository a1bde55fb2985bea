import { fileURLToPath } from 'node:url'
import type { ComposedMessage } from '@edp/event-schemas'
import { createPipeline, type Pipeline } from '@edp/messaging'
import { createHealth, createLogger, type Database, openDatabase } from '@edp/runtime'
import { createHttpServer, type HttpServer } from '@edp/runtime/http'
import { explainPlans, templateDatabase, type TestDatabase, untilHandled } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { kafkaConsumer } from '../src/consumers.ts'
import { createTallyQueries } from '../src/db/tallies.ts'
import { routes } from '../src/http.ts'
import { cancelled, confirmed, delivered, placed } from './given.ts'

let postgres: TestDatabase
let database: Database
let http: HttpServer
let pipeline: Pipeline

beforeAll(async () => {
  const migrations = fileURLToPath(new URL('../migrations', import.meta.url))
  postgres = await templateDatabase({ role: 'order_statistics', migrations })
  const logger = createLogger('statistics-test', process.env['LOG_LEVEL'] ?? 'silent')
  database = openDatabase({ url: postgres.serviceUrl, applicationName: 'statistics-test' })
  const sender = { source: 'order-statistics', namespace: 'test' }
  pipeline = createPipeline({ consumer: kafkaConsumer, database, logger, ...sender })
  http = await createHttpServer({
    name: 'order-statistics',
    logger,
    health: createHealth(),
    host: '127.0.0.1',
    port: 0,
  })
  await http.app.register(routes, { tallies: createTallyQueries(database.reads) })
  await http.component.start()
})
afterAll(async () => {
  await http.component.stop()
  await database.end()
  await postgres.drop()
})
beforeEach(() => postgres.query('delete from tallies'))

const handle = (...messages: ComposedMessage[]) =>
  untilHandled(() => pipeline.handle(messages.map(delivered)))

async function get(path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(http.url() + path)
  return { status: response.status, body: await response.json() }
}

const one = { time: '2026-01-02T03:04:05Z' }
const two = { time: '2026-01-02T03:06:00Z' }
const nothing = { placed: 0, confirmed: 0, cancelled: 0, revenue: [], cancellations: [] }

describe('the figures', () => {
  test('are orders, revenue by currency and cancellations by reason, in all and by minute', async () => {
    await handle(
      placed(one, 250),
      placed(one, 100, 'USD'),
      placed(two, 50),
      confirmed(one, 250),
      confirmed(two, 100, 'USD'),
      cancelled(two, 'out-of-stock'),
    )
    await handle(placed(two, 75), cancelled(two, 'out-of-stock'), cancelled(two, 'deadline-passed'))
    expect(await get('/statistics')).toEqual({
      status: 200,
      body: {
        placed: 4,
        confirmed: 2,
        cancelled: 3,
        revenue: [
          { currency: 'EUR', amountMinor: 250, orders: 1 },
          { currency: 'USD', amountMinor: 100, orders: 1 },
        ],
        cancellations: [
          { reason: 'deadline-passed', orders: 1 },
          { reason: 'out-of-stock', orders: 2 },
        ],
      },
    })
    const [first, second] = [
      {
        ...nothing,
        minute: '2026-01-02T03:04:00.000Z',
        placed: 2,
        confirmed: 1,
        revenue: [{ currency: 'EUR', amountMinor: 250, orders: 1 }],
      },
      {
        minute: '2026-01-02T03:06:00.000Z',
        placed: 2,
        confirmed: 1,
        cancelled: 3,
        revenue: [{ currency: 'USD', amountMinor: 100, orders: 1 }],
        cancellations: [
          { reason: 'deadline-passed', orders: 1 },
          { reason: 'out-of-stock', orders: 2 },
        ],
      },
    ]
    expect((await get('/statistics/minutes')).body).toEqual({
      minutes: [second, first],
      nextCursor: null,
    })
    const cursor = '2026-01-02T03:06:00.000Z'
    expect((await get('/statistics/minutes?limit=1')).body).toEqual({
      minutes: [second],
      nextCursor: cursor,
    })
    expect((await get(`/statistics/minutes?limit=1&cursor=${cursor}`)).body).toMatchObject({
      minutes: [first],
    })
    const span = 'from=2026-01-02T03:04:00Z&to=2026-01-02T03:05:00Z'
    expect((await get(`/statistics?${span}`)).body).toMatchObject({ placed: 2, cancelled: 0 })
  })

  test('are zeros where nothing happened', async () => {
    expect(await get('/statistics')).toEqual({ status: 200, body: nothing })
    expect((await get('/statistics/minutes')).body).toEqual({ minutes: [], nextCursor: null })
  })

  test('count a message once, however often and in how many batches it comes', async () => {
    const message = confirmed(one, 250)
    await handle(message, message)
    await handle(message, placed(one, 1))
    await Promise.all([handle(message), handle(message)])
    expect((await get('/statistics')).body).toMatchObject({
      placed: 1,
      confirmed: 1,
      revenue: [{ amountMinor: 250 }],
    })
  })

  test('add up when many batches count in the same minute at once', async () => {
    await Promise.all(
      Array.from({ length: 20 }, () =>
        handle(...Array.from({ length: 50 }, () => placed(one, 2)), cancelled(one, 'out-of-stock')),
      ),
    )
    expect((await get('/statistics')).body).toMatchObject({ placed: 1000, cancelled: 20 })
  })
})

test.each(['from=yesterday', 'to=2026', 'since=2026-01-02T03:04:00Z'])(
  'a question with %s is refused',
  async (query) => {
    expect(await get(`/statistics?${query}`)).toMatchObject({ status: 400 })
  },
)

test.each(['limit=0', 'limit=1441', 'cursor=last', 'cursor=0000-01-01T00:00:00Z', 'page=2'])(
  'minutes with %s are refused',
  async (query) => {
    expect(await get(`/statistics/minutes?${query}`)).toMatchObject({ status: 400 })
  },
)

test('every statement is an index lookup by the whole key, also while the tables are empty', async () => {
  // What other files have loaded into this process declares statements too.
  vi.resetModules()
  const { declaredStatements } = await import('@edp/runtime')
  await import('../src/service.ts')
  // Not of the service's tables, once an hour; what is planned in its package; and what it does not use.
  const elsewhere =
    /^(inbox_maintain|inbox_newest_partition|(parked|consumer_run|idempotency_key)_.*)$/
  const statements = declaredStatements().filter(({ name }) => !elsewhere.test(name))
  expect(statements.map(({ name }) => name)).toContain('tallies_add')
  expect(await explainPlans(postgres.url, statements)).toEqual([])
})
