import { createInboxUpkeep } from '@edp/idempotency'
import { createIntake, createKafkaConsumer, createRabbitConsumer } from '@edp/messaging'
import { createLifecycle, type Lifecycle, openDatabase, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { kafkaConsumer } from './consumers.ts'
import { createNotificationQueries } from './db/notification-queries.ts'
import { routes } from './http.ts'
import { createRetention } from './retention.ts'
import { createNotificationJobs } from './jobs/notification-jobs.ts'

const name = 'notification-service'
// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions for the consumer, and room for the jobs' claims and answers, the loops, parked messages and the upkeep.
const poolMax = 10

/** The service: a consumer, the jobs on Redis, one HTTP server, one database. Tests build it with this too. */
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
  const queries = createNotificationQueries(database.reads)
  const http = await createHttpServer({
    name,
    description: 'Tells customers by e-mail what became of their orders.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  await http.app.register(routes, { queries })
  const retention = createRetention({
    database,
    logger,
    retentionDays: config.NOTIFICATION_RETENTION_DAYS,
  })
  const upkeep = createInboxUpkeep({ database, logger, health, retentionDays: inboxRetentionDays })
  const parts = { source: name, database, queries, logger, health, onCrash: fatal }
  const jobs = createNotificationJobs(config, parts)
  const consumer = kafkaConsumer({
    emailDomain: config.CUSTOMER_EMAIL_DOMAIN,
    reviewDelayMs: config.REVIEW_REQUEST_DELAY_MS,
    afterCommit: jobs.feedNow,
  })
  const intake = createIntake({
    service: name,
    consumers: [consumer],
    dueWork: [jobs.dueWork],
    database,
    namespace,
    logger,
    health,
    inboxRetentionDays,
  })
  const shared = { namespace, logger, health, onCrash: fatal }
  const kafka = createKafkaConsumer({
    ...shared,
    ...intake.of(consumer),
    brokers: config.KAFKA_BROKERS,
    clientId: name,
  })
  const redrive = createRabbitConsumer({ ...shared, ...intake.redrive, url: config.RABBITMQ_URL })
  // Stopped from the end: first what takes work in, then what sends, at last what they need.
  const components = [
    database.component,
    upkeep,
    retention,
    ...jobs.components,
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
