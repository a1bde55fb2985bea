import { createInboxUpkeep } from '@edp/idempotency'
import { createKafkaConsumer, createRabbitConsumer, type Pipeline } from '@edp/messaging'
import {
  type Component,
  createLifecycle,
  type Lifecycle,
  openDatabase,
  type ServiceProcess,
} from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import { createAlerting } from './alerts/alerting.ts'
import type { Config } from './config.ts'
import { kafkaConsumer, rabbitmqConsumer } from './consumers.ts'
import { openReads } from './db/reads.ts'
import { addRoutes } from './http.ts'
import { createIngest, type IngestOptions } from './ingest.ts'
import { createRetention } from './retention.ts'
import { createRedriveLoop } from './send-redrives.ts'
import { serviceName } from './service-name.ts'

// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions at a time for each consumer, and room for HTTP, the loops and the upkeep.
const poolMax = 8
// A letter has up to 64 KiB of body, a dead message of RabbitMQ all of it: what shares a transaction is bounded.
const kafkaBatchMax = 250
const rabbitmqBatchMax = 50

/** The service: a consumer for each broker, one HTTP server, one database. Tests build it with this too. */
export async function createService(
  config: Config,
  serviceProcess: ServiceProcess,
): Promise<Lifecycle & { url(): string }> {
  const { logger, health } = serviceProcess
  const namespace = config.MESSAGING_NAMESPACE
  const database = openDatabase({
    url: config.DATABASE_URL,
    applicationName: serviceName,
    poolMax,
    onConnectionError: (err) => logger.warn({ err }, 'lost a connection to Postgres'),
  })
  const http = await createHttpServer({
    name: serviceName,
    description: 'Dead letters: what failed, why, and sending it back.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  const alerting = createAlerting({ settings: config, database, logger, health })
  await alerting.register(http.app)
  const upkeep = createInboxUpkeep({
    database,
    logger,
    health,
    retentionDays: inboxRetentionDays,
  })
  const redriving = createRedriveLoop({ database, namespace, logger })
  health.register(redriving.name, () => redriving.report())
  const retention = createRetention({
    database,
    logger,
    retentionDays: config.LETTER_RETENTION_DAYS,
  })
  health.register(retention.name, () => retention.report())
  addRoutes(http.app, {
    database,
    namespace,
    reads: openReads(database.reads),
    onRedrive: () => redriving.poke(),
  })
  const consumers = consumersOf(config, serviceProcess, {
    database,
    onChange: ({ redriveEnds }) => {
      alerting.poke()
      if (redriveEnds > 0) redriving.poke()
    },
  })
  const upkeeps = [upkeep, redriving, retention, alerting]
  const components = [database.component, ...upkeeps, http.component, ...consumers]
  const lifecycle = createLifecycle(components, {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: http.url }
}

function consumersOf(
  config: Config,
  { logger, health, fatal }: ServiceProcess,
  options: Pick<IngestOptions, 'database' | 'onChange'>,
): Component[] {
  const namespace = config.MESSAGING_NAMESPACE
  const shared = { namespace, logger, health, onCrash: fatal }
  const ingestOf = (consumer: string): Pipeline =>
    createIngest({ ...options, consumer, namespace, logger, inboxRetentionDays })
  const kafka = createKafkaConsumer({
    ...shared,
    brokers: config.KAFKA_BROKERS,
    clientId: serviceName,
    consumer: kafkaConsumer,
    pipeline: ingestOf(kafkaConsumer.name),
    batchMessagesMax: kafkaBatchMax,
  })
  const rabbitmq = createRabbitConsumer({
    ...shared,
    url: config.RABBITMQ_URL,
    consumer: rabbitmqConsumer,
    pipeline: ingestOf(rabbitmqConsumer.name),
    batchMessagesMax: rabbitmqBatchMax,
    headers: 'all',
  })
  return [kafka, rabbitmq]
}
