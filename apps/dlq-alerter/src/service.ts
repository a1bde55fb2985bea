import { createInboxUpkeep } from '@edp/idempotency'
import { createLifecycle, type Lifecycle, openDatabase, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import { createAlerting } from './alerts/alerting.ts'
import type { Config } from './config.ts'
import { serviceName } from './service-name.ts'

// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
// Two transactions at a time for each consumer, and room for HTTP, the loops and the upkeep.
const poolMax = 8

/** The service: a consumer for each broker, one HTTP server, one database. Tests build it with this too. */
export async function createService(
  config: Config,
  { logger, health }: ServiceProcess,
): Promise<Lifecycle & { url(): string }> {
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
  const lifecycle = createLifecycle([database.component, upkeep, alerting, http.component], {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: http.url }
}
