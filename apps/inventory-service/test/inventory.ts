import { fileURLToPath } from 'node:url'
import { createIntake, createPipeline, type IncomingMessage, type Pipeline } from '@edp/messaging'
import { createHealth, createLogger, type Database, openDatabase } from '@edp/runtime'
import { templateDatabase, type TestDatabase, untilHandled, waitFor } from '@edp/testkit'
import { kafkaConsumer, rabbitmqConsumer } from '../src/consumers.ts'
import { redriveOf } from './given.ts'

export const migrations = fileURLToPath(new URL('../migrations', import.meta.url))

/** A message that the service has put into its outbox. */
export interface Sent {
  type: string
  key: string
  payload: Record<string, unknown>
  headers: Record<string, string>
}

/** The inventory of one test file: its own database, and pipelines as the service runs them. */
export interface Inventory {
  postgres: TestDatabase
  database: Database
  /** Another process of the service: on connections of its own. Each message goes to the consumer of its broker. */
  process(): Pipeline
  pipeline: Pipeline
  /** Redrives a dead command with a corrected body, and resolves when its letter is resolved. */
  redrive(dead: IncomingMessage, body: string): Promise<void>
  receive(stock: Readonly<Record<string, number>>): Promise<void>
  stockOf(sku: string): Promise<{ onHand: number; reserved: number } | undefined>
  /** Status of the order's reservation; undefined when there is none. */
  reservationOf(orderId: string): Promise<string | undefined>
  /** What was sent about an order, in order. */
  sent(orderId: string): Promise<Sent[]>
  close(): Promise<void>
}

export async function openInventory(): Promise<Inventory> {
  const postgres = await templateDatabase({ role: 'inventory_service', migrations })
  const databases: Database[] = []
  const logger = createLogger('inventory-test', 'silent')
  const connect = (): Database => {
    const database = openDatabase({ url: postgres.serviceUrl, applicationName: 'inventory-test' })
    databases.push(database)
    return database
  }
  const options = { source: 'inventory-service', namespace: 'test', logger }
  const pipelineOn = (database: Database): Pipeline => {
    const pipelines = {
      kafka: createPipeline({ ...options, consumer: kafkaConsumer, database }),
      rabbitmq: createPipeline({ ...options, consumer: rabbitmqConsumer, database }),
    }
    return {
      ready: () => pipelines.kafka.ready(),
      handle: async (batch) => {
        const over = (transport: 'kafka' | 'rabbitmq') =>
          batch.filter((message) => message.transport === transport)
        const handled = await Promise.allSettled([
          untilHandled(() => pipelines.kafka.handle(over('kafka'))),
          untilHandled(() => pipelines.rabbitmq.handle(over('rabbitmq'))),
        ])
        for (const result of handled) if (result.status === 'rejected') throw result.reason
      },
    }
  }
  const database = connect()
  const redrive = async (dead: IncomingMessage, body: string): Promise<void> => {
    const intake = createIntake({
      service: 'inventory-service',
      consumers: [kafkaConsumer, rabbitmqConsumer],
      database,
      namespace: 'test',
      logger,
      health: createHealth(),
      inboxRetentionDays: 8,
      parkedPollIntervalMs: 20,
    })
    for (const component of intake.components) await component.start()
    const messageId = dead.headers['cloudEvents_id'] ?? ''
    await intake.redrive.pipeline.handle([redriveOf(messageId, body)])
    await waitFor(
      () =>
        postgres.query("select from outbox where key = $1 and type = 'message.resolved.v1'", [
          messageId,
        ]),
      { message: 'it is resolved', until: (rows) => rows.length === 1 },
    )
    await Promise.all(intake.components.map((component) => component.stop()))
  }
  return {
    redrive,
    postgres,
    database,
    process: () => pipelineOn(connect()),
    pipeline: pipelineOn(database),
    receive: async (stock) => {
      for (const [sku, quantity] of Object.entries(stock)) {
        await postgres.query(
          'insert into stock_receipts (receipt_id, sku, quantity) values (gen_random_uuid(), $1, $2)',
          [sku, quantity],
        )
        await postgres.query('insert into stock (sku, on_hand) values ($1, $2)', [sku, quantity])
      }
    },
    stockOf: async (sku) => {
      const [row] = await postgres.query('select on_hand, reserved from stock where sku = $1', [
        sku,
      ])
      return row && { onHand: Number(row['on_hand']), reserved: Number(row['reserved']) }
    },
    reservationOf: async (orderId) => {
      const [row] = await postgres.query('select status from reservations where order_id = $1', [
        orderId,
      ])
      return row && String(row['status'])
    },
    sent: async (orderId) => {
      const rows = await postgres.query(
        'select type, key, payload, headers from outbox where key = $1 order by id',
        [orderId],
      )
      return rows as unknown as Sent[]
    },
    close: async () => {
      await Promise.all(databases.map((one) => one.end()))
      await postgres.drop()
    },
  }
}
