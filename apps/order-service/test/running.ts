import { join } from 'node:path'
import { createHealth, createLogger, readConfig } from '@edp/runtime'
import { templateDatabase, type TestDatabase } from '@edp/testkit'
import { afterAll } from 'vitest'
import { config } from '../src/config.ts'
import type { OrderSagas } from '../src/sagas.ts'
import { createService } from '../src/service.ts'

export const migrations = join(import.meta.dirname, '../migrations')

// Nobody listens there: these tests need no broker, and the service does not either to take orders.
const noBroker = '127.0.0.1:1'

/** A database of this test file, dropped at its end. */
export async function testDatabase(): Promise<TestDatabase> {
  const database = await templateDatabase({ role: 'order_service', migrations })
  afterAll(() => database.drop())
  return database
}

/** The service, in this process, on a port of its own; stopped at the end of the file. */
export async function runService(
  database: TestDatabase,
  settings: Readonly<Record<string, string>> = {},
  sagas?: OrderSagas,
) {
  const faults: unknown[] = []
  const health = createHealth()
  const service = await createService(
    readConfig(config, {
      HTTP_PORT: '0',
      DATABASE_URL: database.serviceUrl,
      KAFKA_BROKERS: noBroker,
      RABBITMQ_URL: `amqp://${noBroker}`,
      ...settings,
    }),
    {
      logger: createLogger('order-service', process.env['TEST_LOG'] ?? 'silent'),
      health,
      fatal: (error) => faults.push(error),
    },
    sagas,
  )
  await service.start()
  health.markStarted()
  afterAll(() => service.stop())
  return { url: service.url(), stop: () => service.stop(), health, faults }
}

let keys = 0

/** A key that no other request of this run has. */
export function newKey(): string {
  keys += 1
  return `key-${process.pid}-${Date.now()}-${keys}`
}

/** Sends an order. */
export function post(url: string, body: unknown, key: string = newKey()): Promise<Response> {
  return fetch(`${url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify(body),
  })
}

/** Sends an order and gives its id. */
export async function placeOne(url: string, body: unknown): Promise<string> {
  const response = await post(url, body)
  if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`)
  return (await json(response)).orderId
}

/** What a path shows. */
export async function get(url: string, path: string) {
  return json(await fetch(`${url}${path}`))
}

/** The body of an answer: whatever a test expects of it. */
// oxlint-disable-next-line typescript/no-explicit-any -- the assertions of the test check it
export async function json(response: Response): Promise<any> {
  return response.json()
}
