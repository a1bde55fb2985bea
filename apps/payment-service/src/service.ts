import { createInboxUpkeep } from '@edp/idempotency'
import { createIntake, createKafkaConsumer, createRabbitConsumer } from '@edp/messaging'
import { createLifecycle, type Lifecycle, openDatabase, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { createPaymentQueries } from './db/payment-queries.ts'
import { openPaymentMetrics } from './due-payments.ts'
import { routes } from './http.ts'
import { createPaymentWork, serviceName as name } from './payment-work.ts'
import { refundDueWork } from './retry-refund.ts'

// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions at a time for each consumer and class of priority, two for the answers of the gateway, and room for due work, parked
// messages and the upkeep.
const poolMax = 13

/** The service: a consumer for each broker, one HTTP server, one database, the gateway. Tests build it with this too. */
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
  const queries = createPaymentQueries(database.reads)
  const work = createPaymentWork(config, { database, logger, health })
  const metrics = openPaymentMetrics({ queries, logger })
  const http = await createHttpServer({
    name,
    description: 'Payments and refunds.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  const { dueNow } = work
  await http.app.register(routes, { queries, database, dueNow, logger })
  const upkeep = createInboxUpkeep({
    database,
    logger,
    health,
    retentionDays: inboxRetentionDays,
  })
  const shared = { namespace, logger, health, onCrash: fatal }
  const intake = createIntake({
    service: name,
    consumers: [work.kafka, work.rabbitmq],
    dueWork: [refundDueWork(dueNow)],
    database,
    namespace,
    logger,
    health,
    inboxRetentionDays,
  })
  const kafka = createKafkaConsumer({
    ...shared,
    ...intake.of(work.kafka),
    brokers: config.KAFKA_BROKERS,
    clientId: name,
  })
  const url = config.RABBITMQ_URL
  const rabbitmq = createRabbitConsumer({ ...shared, ...intake.of(work.rabbitmq), url })
  const redrive = createRabbitConsumer({ ...shared, ...intake.redrive, url })
  // Stopped from the end: first what takes work in, then the calls that run, at last what they need.
  const components = [
    database.component,
    upkeep,
    ...work.components,
    metrics,
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
