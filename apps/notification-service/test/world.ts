import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CancelReason,
  type ComposedMessage,
  compose,
  newMessageId,
  orderCancelledV1,
  orderConfirmedV1,
  type Outgoing,
  outgoing,
  topics,
} from '@edp/event-schemas'
import {
  createIntake,
  createPipeline,
  declareTopology,
  deleteTopics,
  deleteTopology,
  ensureTopics,
  type IncomingMessage,
  type Pipeline,
} from '@edp/messaging'
import {
  createHealth,
  createLifecycle,
  createLogger,
  openDatabase,
  readConfig,
  renderMetrics,
} from '@edp/runtime'
import {
  type AppProcess,
  freePort,
  stack,
  startApp,
  templateDatabase,
  type TestDatabase,
  uniqueNamespace,
  untilHandled,
  waitFor,
} from '@edp/testkit'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { config } from '../src/config.ts'
import { kafkaConsumer } from '../src/consumers.ts'
import { createNotificationQueries } from '../src/db/notification-queries.ts'
import type { Kind } from '../src/domain/notification.ts'
import { queueName } from '../src/jobs/job-queue.ts'
import { createNotificationJobs } from '../src/jobs/notification-jobs.ts'
import { type Link, openLink } from './link.ts'

const logger = createLogger('test', process.env['LOG_LEVEL'] ?? 'silent')
const inboxRetentionDays = 8

/** An e-mail that the sandbox has taken. */
export type Mail = { to: string[]; subject: string; notificationId: string; at: string }
export type Row = Record<string, unknown>
/** An event that the service has put into its outbox. */
export type Sent = { type: string; body: Record<string, unknown> }

/** A part of the service in this process: what it takes in is given to it by the test. */
export type Work = {
  /** Handles facts as one batch; their rows are committed when it resolves. */
  deliver(...messages: ComposedMessage[]): Promise<void>
  /** Hands a command about a dead letter in. */
  command(message: ComposedMessage): Promise<void>
  /** Every check that is not ok. */
  readonly problems: () => string[]
  stop(): Promise<void>
}

/** A database, a mail sandbox and a part of Redis of their own, and everything to look at them. */
export type World = {
  readonly db: TestDatabase
  readonly namespace: string
  /** Between the service and Redis. */
  readonly redisLink: Link
  readonly redis: Redis
  readonly queue: Queue
  /** The settings of a notification-service process of this world. */
  env(overrides?: Record<string, string>): Record<string, string>
  startWork(overrides?: Record<string, string>): Promise<Work>
  /** Handles facts and looks after no job: what a process leaves that dies right after its commit. */
  owe(...messages: ComposedMessage[]): Promise<void>
  /** Ends the sandbox at once; `restartSandbox` brings it back with all of its e-mails. */
  stopSandbox(): Promise<void>
  restartSandbox(): Promise<void>
  sandbox(path: string, method?: 'GET' | 'POST'): Promise<Response>
  /** Every e-mail, or those of an order. */
  mails(orderId?: string): Promise<Mail[]>
  duplicates(): Promise<number>
  row(orderId: string, kind: Kind): Promise<Row | undefined>
  untilRow(orderId: string, kind: Kind, status: string, timeoutMs?: number): Promise<Row>
  /** What was said about the dead letter of a notification. */
  said(notificationId: string): Promise<Sent[]>
  /** Removes everything of this world from Redis. */
  emptyRedis(): Promise<void>
  stopWork(): Promise<void>
  close(): Promise<void>
}

/** Makes the topics and queues of a world, for a service that is a process. @returns what removes them */
export async function openBrokers({ namespace }: World): Promise<() => Promise<void>> {
  const { kafkaBrokers: brokers, rabbitmqUrl: url } = stack()
  await ensureTopics({ brokers, namespace, topics })
  await declareTopology({ url, namespace })
  return async () => {
    await deleteTopology({ url, namespace })
    await deleteTopics({ brokers, namespace, topics })
  }
}

/** Makes a world. */
export async function createWorld(slowMs = 1500): Promise<World> {
  const db = await templateDatabase({
    role: 'notification_service',
    migrations: join(import.meta.dirname, '../migrations'),
  })
  const folder = mkdtempSync(join(tmpdir(), 'mails-'))
  const smtpPort = await freePort()
  const sandboxEnv: Record<string, string> = {
    MAILS_FILE: join(folder, 'mails.jsonl'),
    SMTP_PORT: String(smtpPort),
    SLOW_MS: String(slowMs),
  }
  let sandboxApp: AppProcess = await startApp('smtp-sandbox', sandboxEnv)
  sandboxEnv['HTTP_PORT'] = new URL(sandboxApp.url).port
  const namespace = uniqueNamespace()
  const { redisUrl, kafkaBrokers, rabbitmqUrl } = stack()
  const redisLink = await openLink(redisUrl)
  const redis = new Redis(redisUrl, { maxRetriesPerRequest: null })
  const queue = new Queue(queueName, { connection: redis, prefix: namespace })
  const running = new Set<() => Promise<void>>()

  const env = (overrides: Record<string, string> = {}): Record<string, string> => ({
    DATABASE_URL: db.serviceUrl,
    KAFKA_BROKERS: kafkaBrokers.join(','),
    RABBITMQ_URL: rabbitmqUrl,
    MESSAGING_NAMESPACE: namespace,
    REDIS_URL: redisLink.url,
    SMTP_URL: `smtp://127.0.0.1:${smtpPort}`,
    JOB_LOCK_MS: '1000',
    // Longer than a busy machine may keep a process from running: a pause beyond it may double an e-mail.
    LEASE_MS: '5000',
    JOB_ATTEMPTS_MAX: '3',
    JOB_RETRY_BASE_MS: '20',
    PROVIDER_RETRY_BASE_MS: '50',
    PROVIDER_RETRY_CAP_MS: '500',
    MAILS_PER_SECOND_MAX: '10000',
    FEED_INTERVAL_MS: '50',
    RECONCILE_INTERVAL_MS: '200',
    RECONCILE_AFTER_MS: '500',
    DEAD_JOBS_INTERVAL_MS: '500',
    JOB_COUNT_INTERVAL_MS: '100',
    REDIS_COMMAND_TIMEOUT_MS: '1000',
    ...overrides,
  })

  const startWork = async (overrides: Record<string, string> = {}): Promise<Work> => {
    const settings = readConfig(config, env(overrides))
    const database = openDatabase({
      url: db.serviceUrl,
      applicationName: 'notification-service-test',
      poolMax: 8,
    })
    const health = createHealth()
    const source = 'notification-service'
    const jobs = createNotificationJobs(settings, {
      source,
      database,
      queries: createNotificationQueries(database.reads),
      logger,
      health,
      onCrash: (error) => {
        throw error
      },
    })
    const consumer = kafkaConsumer({
      emailDomain: settings.CUSTOMER_EMAIL_DOMAIN,
      reviewDelayMs: settings.REVIEW_REQUEST_DELAY_MS,
      afterCommit: jobs.feedNow,
    })
    const intake = createIntake({
      service: source,
      consumers: [consumer],
      dueWork: [jobs.dueWork],
      database,
      namespace,
      logger,
      health,
      inboxRetentionDays,
      parkedPollIntervalMs: 50,
    })
    const lifecycle = createLifecycle([...jobs.components, ...intake.components], {
      logger,
      shutdownTimeoutMs: 20_000,
    })
    await lifecycle.start()
    health.markStarted()
    const stop = async (): Promise<void> => {
      if (!running.delete(stop)) return
      await lifecycle.stop()
      await database.end()
    }
    running.add(stop)
    return {
      deliver: (...messages) => handled(intake.of(consumer).pipeline, messages),
      command: (one) => handled(intake.redrive.pipeline, [one]),
      problems: () =>
        Object.entries(health.readiness().checks)
          .filter(([, report]) => report.status !== 'ok')
          .map(([name, report]) => `${name} is ${report.status}: ${report.detail}`),
      stop,
    }
  }

  const mailsAt = async (): Promise<{ mails: Mail[]; duplicates: number }> => {
    const answer = await fetch(`${sandboxApp.url}/mails?limit=100000`)
    return (await answer.json()) as { mails: Mail[]; duplicates: number }
  }

  const row = async (orderId: string, kind: Kind): Promise<Row | undefined> => {
    const [found] = await db.query(
      'select * from notifications where order_id = $1 and kind = $2',
      [orderId, kind],
    )
    return found
  }

  const stopWork = async (): Promise<void> => {
    for (const stop of running) await stop()
  }

  const emptyRedis = async (): Promise<void> => {
    for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 1000 })) {
      if (keys.length > 0) await redis.unlink(...(keys as string[]))
    }
  }

  return {
    db,
    namespace,
    redisLink,
    redis,
    queue,
    env,
    startWork,
    async owe(...messages) {
      const database = openDatabase({ url: db.serviceUrl, applicationName: 'notifications-owed' })
      const consumer = kafkaConsumer({
        emailDomain: 'customers.example',
        reviewDelayMs: 3_600_000,
        afterCommit: () => undefined,
      })
      const source = 'notification-service'
      const pipeline = createPipeline({ consumer, database, source, namespace, logger })
      await handled(pipeline, messages)
      await database.end()
    },
    stopSandbox: async () => {
      await sandboxApp.end('SIGKILL')
    },
    async restartSandbox() {
      await sandboxApp.end('SIGKILL')
      sandboxApp = await startApp('smtp-sandbox', sandboxEnv)
    },
    sandbox: (path, method = 'GET') => fetch(sandboxApp.url + path, { method }),
    async mails(orderId) {
      const { mails } = await mailsAt()
      if (orderId === undefined) return mails
      const ids = await db.query('select id from notifications where order_id = $1', [orderId])
      const own = new Set(ids.map(({ id }) => id))
      return mails.filter(({ notificationId }) => own.has(notificationId))
    },
    duplicates: async () => (await mailsAt()).duplicates,
    row,
    untilRow: async (orderId, kind, status, timeoutMs = 20_000) => {
      const found = await waitFor(() => row(orderId, kind), {
        message: `the ${kind} of ${orderId} is ${status}`,
        timeoutMs,
        until: (one) => one?.['status'] === status,
      })
      if (found === undefined) throw new Error('it was there a moment ago')
      return found
    },
    async said(notificationId) {
      const rows = await db.query(
        `select type, payload from outbox where type like 'message.%' and payload->>'messageId' = $1 order by id`,
        [notificationId],
      )
      return rows.map((one) => ({
        type: String(one['type']),
        body: one['payload'] as Sent['body'],
      }))
    },
    emptyRedis,
    stopWork,
    async close() {
      await stopWork()
      await sandboxApp.end('SIGKILL')
      await queue.close()
      await emptyRedis()
      redis.disconnect()
      await redisLink.close()
      await db.drop()
      rmSync(folder, { recursive: true })
    },
  }
}

/** The value of a sample of this process's metrics; undefined when there is none. */
export async function metric(sample: string): Promise<number | undefined> {
  const { body } = await renderMetrics()
  const line = body.split('\n').find((one) => one.startsWith(`${sample} `))
  return line === undefined ? undefined : Number(line.slice(sample.length + 1))
}

export function newOrderId(): string {
  return newMessageId()
}

/** An `order.confirmed` for an order; each call is a new message. */
export function confirmed(orderId: string, customerId = 'ada'): ComposedMessage {
  return message(
    outgoing(orderConfirmedV1, orderId, {
      orderId,
      customerId,
      lines: [{ sku: 'moka-pot', quantity: 1, unitPriceMinor: 1299 }],
      amountMinor: 1299,
      currency: 'EUR',
    }),
  )
}

/** An `order.cancelled` for an order; each call is a new message. */
export function cancelled(
  orderId: string,
  customerId = 'ada',
  reason: CancelReason = 'customer-request',
): ComposedMessage {
  return message(outgoing(orderCancelledV1, orderId, { orderId, customerId, reason }))
}

/** A message as it comes from a broker. */
export function message(content: Outgoing, source = 'order-service'): ComposedMessage {
  return compose(content, {
    source,
    namespace: 'test',
    now: new Date(),
    coordination: 'orchestrated',
  })
}

function handled(pipeline: Pipeline, messages: readonly ComposedMessage[]): Promise<void> {
  return untilHandled(() => pipeline.handle(messages.map(asIncoming)))
}

function asIncoming(composed: ComposedMessage): IncomingMessage {
  const { transport, headers, payload, destination } = composed
  return { transport, headers, body: Buffer.from(payload), position: `${destination}/0@0` }
}
