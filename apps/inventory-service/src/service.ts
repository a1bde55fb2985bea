import { createInboxUpkeep } from '@edp/idempotency'
import { createIntake, createKafkaConsumer, createRabbitConsumer } from '@edp/messaging'
import { createLifecycle, type Lifecycle, openDatabase, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { kafkaConsumer, rabbitmqConsumer } from './consumers.ts'
import { createStockQueries } from './db/stock.ts'
import { routes } from './http.ts'

const name = 'inventory-service'
// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions at a time for each consumer and class of priority, and room for HTTP, parked messages and the upkeep.
const poolMax = 10

/** The service: a consumer for each broker, one HTTP server, one database. Tests build it with this too. */
export async function createService(
  config: Config,
  { logger, health, fatal }: ServiceProcess,
): Promise<Lifecycle & { url(): string }> {
  const namespace = config.MESSAGING_NAMESPACE
  const database = openDatabase({
    url: config.DATABASE_URL,
    applicationName: name,
    poolMax,
    onConnectionError: (err) => logger.warn({ err }, 'lost a connection to Postgres'),
  })
  const http = await createHttpServer({
    name,
    description: 'Stock and reservations.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  await http.app.register(routes, { database, stock: createStockQueries(database.reads) })
  const upkeep = createInboxUpkeep({
    database,
    logger,
    health,
    retentionDays: inboxRetentionDays,
  })
  const shared = { namespace, logger, health, onCrash: fatal }
  const intake = createIntake({
    service: name,
    consumers: [kafkaConsumer, rabbitmqConsumer],
    database,
    namespace,
    logger,
    health,
    inboxRetentionDays,
  })
  const kafka = createKafkaConsumer({
    ...shared,
    ...intake.of(kafkaConsumer),
    brokers: config.KAFKA_BROKERS,
    clientId: name,
  })
  const url = config.RABBITMQ_URL
  const rabbitmq = createRabbitConsumer({ ...shared, ...intake.of(rabbitmqConsumer), url })
  const redrive = createRabbitConsumer({ ...shared, ...intake.redrive, url })
  const components = [
    database.component,
    upkeep,
    http.component,
    ...intake.components,
    kafka,
    rabbitmq,
    redrive,
  ]
  const lifecycle = createLifecycle(components, {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: http.url }
}
