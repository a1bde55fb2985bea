import { createKafkaPublisher, createRabbitPublisher } from '@edp/messaging'
import { createDrain, type Drain } from '@edp/outbox/drain'
import { createLifecycle, type Lifecycle, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { serviceName } from './service-name.ts'

/**
 * The relay: one drain for each database and transport, so that a broker or a database that is down stalls no other. A
 * second relay stands by and takes over what the first gives back or loses.
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
  const kafka = createKafkaPublisher({
    brokers: config.KAFKA_BROKERS,
    clientId: serviceName,
    logger,
  })
  const rabbitmq = createRabbitPublisher({ url: config.RABBITMQ_URL, logger })
  const publishers = { kafka, rabbitmq }
  const drains: Drain[] = []
  for (const [database, url] of Object.entries(config.OUTBOX_DATABASES)) {
    for (const transport of ['kafka', 'rabbitmq'] as const) {
      drains.push(
        createDrain({ database, url, transport, publisher: publishers[transport], logger }),
      )
    }
  }
  for (const drain of drains) health.register(drain.name, () => drain.report())
  const lifecycle = createLifecycle([http.component, kafka, rabbitmq, ...drains], {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: http.url }
}
