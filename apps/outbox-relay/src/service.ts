import { createKafkaPublisher, createRabbitPublisher } from '@edp/messaging'
import type { Publisher } from '@edp/outbox'
import { createDrain, type Drain } from '@edp/outbox/drain'
import {
  type Component,
  createLifecycle,
  type Lifecycle,
  type Logger,
  type ServiceProcess,
} from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { serviceName } from './service-name.ts'

/**
 * The relay: a drain, with a connection to its broker, for each database and transport, so that a broker or a database
 * that is down stalls no other. A second relay stands by and takes over what the first gives back or loses.
 */
export async function createService(
  config: Config,
  { logger, health }: ServiceProcess,
): Promise<Lifecycle & { url(): string }> {
  const http = await createHttpServer({
    name: serviceName,
    description: 'Moves committed outbox rows to Kafka and RabbitMQ.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  const publishers: Component[] = []
  const drains: Drain[] = []
  for (const [database, url] of Object.entries(config.OUTBOX_DATABASES)) {
    for (const transport of ['kafka', 'rabbitmq'] as const) {
      const publisher = createPublisher(transport, config, logger)
      const bounds = { leaseMs: config.OUTBOX_LEASE_MS }
      publishers.push(publisher)
      drains.push(createDrain({ database, url, transport, publisher, logger, bounds }))
    }
  }
  for (const drain of drains) health.register(drain.name, () => drain.report())
  const components = [
    http.component,
    together('publishers', publishers),
    together('drains', drains),
  ]
  const { SHUTDOWN_TIMEOUT_MS: shutdownTimeoutMs } = config
  return { ...createLifecycle(components, { logger, shutdownTimeoutMs }), url: http.url }
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
