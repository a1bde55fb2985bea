import { createInboxUpkeep } from '@edp/idempotency'
import { createIntake, createKafkaConsumer, createRabbitConsumer } from '@edp/messaging'
import {
  type Component,
  createLifecycle,
  createLoop,
  type Database,
  type Lifecycle,
  type Loop,
  openDatabase,
  type ServiceProcess,
  untilDone,
} from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import { createSagaWatch } from '@edp/saga/postgres'
import { cancelOverdue } from './cancel-overdue.ts'
import type { Config } from './config.ts'
import { kafkaConsumer, rabbitmqConsumer } from './consumers.ts'
import { openReads } from './db/reads.ts'
import { decideDueSagas } from './due-sagas.ts'
import { addRoutes } from './http.ts'
import { createPlaceOrder } from './place-order.ts'
import { type OrderSagas, orderSagas } from './sagas.ts'
import { serviceName } from './service-name.ts'

// Kafka keeps a message for 7 days; a day more, so that none outlives what is known of it.
const inboxRetentionDays = 8
const overdueBatchMax = 500
const dueSagasMax = 500

/**
 * The service: HTTP, a consumer for each broker, the timers, one database. Tests build it with this too, with other versions of
 * the saga.
 */
export async function createService(
  config: Config,
  process: ServiceProcess,
  sagas: OrderSagas = orderSagas,
): Promise<Lifecycle & { url(): string }> {
  const { logger, health } = process
  const namespace = config.MESSAGING_NAMESPACE
  const database = openDatabase({
    url: config.DATABASE_URL,
    applicationName: serviceName,
    poolMax: config.POOL_MAX,
    lockTimeoutMs: config.LOCK_TIMEOUT_MS,
    onConnectionError: (err) => logger.warn({ err }, 'lost a connection to Postgres'),
  })
  const http = await createHttpServer({
    name: serviceName,
    description: 'Places orders and follows them to their end.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    // Placing an order bounds itself: a timer and an AbortController for each of them cost a sixth of the whole service.
    handlerTimeoutMs: 0,
  })
  const { ORDER_DEADLINE_MS: orderDeadlineMs } = config
  addRoutes(http.app, {
    database,
    namespace,
    sagas,
    reads: openReads(database.reads),
    placeOrder: createPlaceOrder({ database, namespace, orderDeadlineMs, sagas }),
  })
  const lifecycle = createLifecycle(
    [
      database.component,
      http.component,
      answering(database, process),
      createInboxUpkeep({ database, logger, health, retentionDays: inboxRetentionDays }),
      createSagaWatch({ database, registry: sagas.registry, logger, health }),
      deadlines(config, database, process),
      sagaTimers(config, { database, sagas }, process),
      ...consumers(config, { database, sagas }, process),
    ],
    { logger, shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS },
  )
  return { ...lifecycle, url: http.url }
}

function consumers(
  config: Config,
  { database, sagas }: { database: Database; sagas: OrderSagas },
  { logger, health, fatal }: ServiceProcess,
): Component[] {
  const namespace = config.MESSAGING_NAMESPACE
  const shared = { namespace, logger, health, onCrash: fatal }
  const url = config.RABBITMQ_URL
  const rabbitmq = rabbitmqConsumer(sagas.registry)
  const intake = createIntake({
    service: serviceName,
    consumers: [kafkaConsumer, rabbitmq],
    database,
    namespace,
    logger,
    health,
    inboxRetentionDays,
  })
  return [
    ...intake.components,
    createKafkaConsumer({
      ...shared,
      ...intake.of(kafkaConsumer),
      brokers: config.KAFKA_BROKERS,
      clientId: serviceName,
    }),
    createRabbitConsumer({ ...shared, ...intake.of(rabbitmq), url }),
    createRabbitConsumer({ ...shared, ...intake.redrive, url }),
  ]
}

/** Tells sagas that their time is up: to ask again, or because of the deadline. */
function sagaTimers(
  config: Config,
  { database, sagas }: { database: Database; sagas: OrderSagas },
  { logger, health }: ServiceProcess,
): Loop {
  const namespace = config.MESSAGING_NAMESPACE
  const loop = createLoop({
    name: 'saga timers',
    intervalMs: config.SAGA_POLL_INTERVAL_MS,
    logger,
    work: async () => {
      const decided = await decideDueSagas({ database, namespace, sagas, logger }, dueSagasMax)
      return decided === dueSagasMax ? 'again' : undefined
    },
  })
  health.register(loop.name, () => loop.report())
  return loop
}

/** Gives up choreographed orders whose time is over. */
function deadlines(config: Config, database: Database, process: ServiceProcess): Loop {
  const { logger, health } = process
  const loop = createLoop({
    name: 'order deadlines',
    intervalMs: config.DEADLINE_POLL_INTERVAL_MS,
    logger,
    work: async () => {
      const options = { database, namespace: config.MESSAGING_NAMESPACE }
      const cancelled = await cancelOverdue(options, overdueBatchMax)
      if (cancelled > 0) logger.info({ orders: cancelled }, 'overdue orders are being cancelled')
      return cancelled === overdueBatchMax ? 'again' : undefined
    },
  })
  health.register(loop.name, () => loop.report())
  return loop
}

// Nothing is consumed before Postgres answers; meanwhile liveness does.
function answering(database: Database, { logger }: ServiceProcess): Component {
  const stopping = new AbortController()
  return {
    name: 'postgres answers',
    start: () =>
      untilDone(() => database.ping(), {
        baseMs: 100,
        capMs: 5000,
        signal: stopping.signal,
        onError: ({ error, delayMs }) =>
          logger.warn({ err: error, delayMs }, 'waiting for Postgres'),
      }),
    stop: async () => stopping.abort(new Error('stopping')),
  }
}
