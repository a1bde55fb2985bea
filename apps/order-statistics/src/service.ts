import { createInboxUpkeep } from '@edp/idempotency'
import { createIntake, createKafkaConsumer, createRabbitConsumer } from '@edp/messaging'
import { createLifecycle, type Lifecycle, openDatabase, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { concurrency, kafkaConsumer } from './consumers.ts'
import { createTallyQueries } from './db/tallies.ts'
import { routes } from './http.ts'

const name = 'order-statistics'
// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions at a time for the consumer, and room for parked messages, letters that come back and the upkeep.
const poolMax = 5

/** The service: a consumer with a group of its own, one HTTP server, one database. Tests build it with this too. */
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
    description: 'Orders per minute, revenue, cancellations by reason.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  await http.app.register(routes, { tallies: createTallyQueries(database.reads) })
  const upkeep = createInboxUpkeep({
    database,
    logger,
    health,
    retentionDays: inboxRetentionDays,
  })
  const shared = { namespace, logger, health, onCrash: fatal }
  const intake = createIntake({
    service: name,
    consumers: [kafkaConsumer],
    database,
    namespace,
    logger,
    health,
    inboxRetentionDays,
  })
  const kafka = createKafkaConsumer({
    ...shared,
    ...concurrency,
    ...intake.of(kafkaConsumer),
    brokers: config.KAFKA_BROKERS,
    clientId: name,
  })
  const redrive = createRabbitConsumer({
    ...shared,
    ...intake.redrive,
    url: config.RABBITMQ_URL,
  })
  const components = [
    database.component,
    upkeep,
    http.component,
    ...intake.components,
    kafka,
    redrive,
  ]
  const lifecycle = createLifecycle(components, {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: http.url }
}
