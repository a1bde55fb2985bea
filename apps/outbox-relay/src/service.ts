import { createKafkaPublisher, createRabbitPublisher } from '@edp/messaging'
import type { Publisher } from '@edp/outbox'
import { createDrain, type DeadRowPolicy, type Drain } from '@edp/outbox/drain'
import {
  type Component,
  createLifecycle,
  type Database,
  type Lifecycle,
  type Logger,
  openDatabase,
  type ServiceProcess,
} from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { addRoutes, settleTimeoutMs } from './http.ts'
import { serviceName } from './service-name.ts'

/** A repaired payload may be about as large as its broker takes. */
const bodyBytesMax = 4 * 1024 * 1024
const operatorConnectionsMax = 2

/**
 * The relay: a drain, with a connection to its broker, for each database and transport, so that a broker or a database
 * that is down stalls no other. A second relay stands by and takes over what the first gives back or loses.
 */
export async function createService(
  config: Config,
  { logger, health }: ServiceProcess,
): Promise<Lifecycle & { url(): string }> {
  const namespace = config.MESSAGING_NAMESPACE
  const http = await createHttpServer({
    name: serviceName,
    description: 'Moves committed outbox rows to Kafka and RabbitMQ.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    bodyBytesMax,
  })
  const publishers: Component[] = []
  const drains = new Map<string, Drain>()
  for (const [database, url] of Object.entries(config.OUTBOX_DATABASES)) {
    for (const transport of ['kafka', 'rabbitmq'] as const) {
      const publisher = createPublisher(transport, config, logger)
      const drain = createDrain({
        database,
        url,
        transport,
        publisher,
        namespace,
        logger,
        deadRowPolicy: policyOf(config),
        bounds: { leaseMs: config.OUTBOX_LEASE_MS },
      })
      publishers.push(publisher)
      drains.set(`${database}/${transport}`, drain)
      health.register(drain.name, () => drain.report())
    }
  }
  const databases = openDatabases(config, logger)
  addRoutes(http.app, {
    databases,
    namespace,
    logger,
    onSettled: (database, transport) => drains.get(`${database}/${transport}`)?.look(),
  })
  const components = [
    together(
      'databases',
      [...databases.values()].map(({ component }) => component),
    ),
    http.component,
    together('publishers', publishers),
    together('drains', [...drains.values()]),
  ]
  const { SHUTDOWN_TIMEOUT_MS: shutdownTimeoutMs } = config
  return { ...createLifecycle(components, { logger, shutdownTimeoutMs }), url: http.url }
}

/** For the routes of operators; the drains have connections of their own. */
function openDatabases(config: Config, logger: Logger): Map<string, Database> {
  return new Map(
    Object.entries(config.OUTBOX_DATABASES).map(([name, url]) => [
      name,
      openDatabase({
        url,
        applicationName: `${serviceName} operators`,
        poolMax: operatorConnectionsMax,
        statementTimeoutMs: settleTimeoutMs,
        transactionTimeoutMs: settleTimeoutMs,
        onConnectionError: (err) => logger.warn({ err, database: name }, 'lost a connection'),
      }),
    ]),
  )
}

function policyOf({
  OUTBOX_DEAD_ROWS: given = {},
}: Config): (destination: string) => DeadRowPolicy {
  const policies = new Map(Object.entries(given))
  return (destination) => policies.get(destination) ?? policies.get('*') ?? 'halt'
}

function createPublisher(
  transport: 'kafka' | 'rabbitmq',
  config: Config,
  logger: Logger,
): Publisher & Component {
  return transport === 'kafka'
    ? createKafkaPublisher({ brokers: config.KAFKA_BROKERS, clientId: serviceName, logger })
    : createRabbitPublisher({ url: config.RABBITMQ_URL, logger })
}

/** Starts and stops components at the same time: none waits for the broker of another. */
function together(name: string, components: readonly Component[]): Component {
  return {
    name,
    start: async () => {
      await Promise.all(components.map((component) => component.start()))
    },
    stop: async () => {
      await Promise.all(components.map((component) => component.stop()))
    },
  }
}
