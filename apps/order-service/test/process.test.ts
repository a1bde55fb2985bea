import { killApps, spawnApp, startApp, type TestDatabase, waitFor } from '@edp/testkit'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { cupAndPots } from './given.ts'
import { json, newKey, post, testDatabase } from './running.ts'

// Real processes: what only a signal, a crash or an exit code shows.

let database: TestDatabase

beforeAll(async () => {
  database = await testDatabase()
})

afterEach(killApps)

describe('a bad environment', () => {
  test('is refused with every problem at once, and exit code 1', async () => {
    const child = spawnApp('order-service', {
      HTTP_PORT: 'eighty',
      DATABASE_URL: 'mysql://localhost',
      ORDER_DEADLINE_MS: 'soon',
      LOG_LEVEL: 'loud',
    })
    expect(await child.ended).toBe(1)
    for (const name of [
      'HTTP_PORT',
      'DATABASE_URL',
      'KAFKA_BROKERS',
      'RABBITMQ_URL',
      'ORDER_DEADLINE_MS',
      'LOG_LEVEL',
    ]) {
      expect(child.output()).toContain(name)
    }
  })
})

describe('SIGTERM', () => {
  test('under load: every order that was placed is answered, and the exit code is 0', async () => {
    const { url, ...child } = await startApp('order-service', settings())
    const answered: string[] = []
    const refusals: number[] = []
    const client = async (): Promise<void> => {
      for (;;) {
        const key = newKey()
        const response = await post(url, cupAndPots, key).catch(() => undefined)
        // A connection that is cut before the process has taken the request is no broken promise: no order is placed.
        if (response === undefined) return
        if (response.status !== 202) refusals.push(response.status)
        await response.text()
        answered.push(key)
      }
    }
    const clients = Array.from({ length: 16 }, client)
    await waitFor(() => answered.length > 200, { message: 'the load runs', timeoutMs: 30_000 })
    expect(await child.end('SIGTERM')).toBe(0)
    await Promise.all(clients)
    expect(refusals).toEqual([])
    const placed = await database.query('select key from idempotency_key')
    expect(placed.map((row) => String(row['key'])).toSorted()).toEqual(answered.toSorted())
  })
})

describe('a crash', () => {
  test('between commit and answer: the same request gets its answer from the next process, and one order', async () => {
    const key = newKey()
    const doomed = await startApp('order-service', {
      ...settings(),
      FAULT_POINTS: 'place-order.committed=kill',
    })
    await expect(post(doomed.url, cupAndPots, key)).rejects.toThrow('fetch failed')
    await doomed.ended
    const { url } = await startApp('order-service', settings())
    const response = await post(url, cupAndPots, key)
    expect(response.status).toBe(202)
    const rows = await database.query(`select body::text from idempotency_key where key = $1`, [
      key,
    ])
    expect(await response.clone().text()).toBe(rows[0]?.['body'])
    const { orderId } = await json(response)
    const orders = await database.query(
      `select (select count(*)::int from orders where order_id = $1) as orders,
         (select count(*)::int from outbox where key = $1::text) as messages`,
      [orderId],
    )
    expect(orders).toEqual([{ orders: 1, messages: 1 }])
  })
})

function settings(): Record<string, string> {
  return {
    DATABASE_URL: database.serviceUrl,
    KAFKA_BROKERS: '127.0.0.1:1',
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
  }
}
