import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CancelReason,
  type CommandHeaders,
  type ComposedMessage,
  compose,
  newMessageId,
  orderCancellingV1,
  type Outgoing,
  outgoing,
  paymentCaptureV1,
  paymentRefundV1,
  type Priority,
  stockReservedV1,
} from '@edp/event-schemas'
import {
  type Consumer,
  createIntake,
  createPipeline,
  type IncomingMessage,
  type Pipeline,
} from '@edp/messaging'
import {
  createHealth,
  createLifecycle,
  createLogger,
  type Database,
  callAtEachPass,
  enableFaultPoints,
  openDatabase,
  readConfig,
} from '@edp/runtime'
import {
  type AppProcess,
  stack,
  startApp,
  templateDatabase,
  type TestDatabase,
  uniqueNamespace,
  untilHandled,
  waitFor,
} from '@edp/testkit'
import { config } from '../src/config.ts'
import { kafkaConsumer, rabbitmqConsumer } from '../src/consumers.ts'
import { createPaymentWork } from '../src/payment-work.ts'
import { refundDueWork } from '../src/retry-refund.ts'
import type { PaymentRows } from '../src/rows.ts'

export const amountMinor = 1299
const logger = createLogger('test', process.env['LOG_LEVEL'] ?? 'silent')

/** An event that the service has put into its outbox. */
export type Sent = {
  type: string
  body: Record<string, unknown>
  headers: Record<string, string>
  destination: string
}
export type PaymentRow = Record<string, unknown>

/** A part of the service in this process: what it takes in is given to it by the test. */
export type Work = {
  /** Handles messages as one batch; their effects are committed when it resolves. */
  deliver(...messages: ComposedMessage[]): Promise<void>
  /** Hands a command about a dead letter in. */
  command(message: ComposedMessage): Promise<void>
  /** Every check that is not ok. */
  problems(): string[]
  stop(): Promise<void>
}

/** A database and a gateway of their own, and everything to look at them. */
export type World = {
  readonly db: TestDatabase
  readonly namespace: string
  readonly sandbox: AppProcess
  /** The settings of a payment-service process of this world. */
  env(overrides?: Record<string, string>): Record<string, string>
  startWork(overrides?: Record<string, string>): Promise<Work>
  /** Handles messages and calls nobody: what a process leaves that dies right after its commit. */
  deliverOnly(...messages: ComposedMessage[]): Promise<void>
  restartSandbox(signal: NodeJS.Signals): Promise<void>
  payment(orderId: string): Promise<PaymentRow | undefined>
  /** What was sent about an order, in order; what is said about dead letters has its own keys and names. */
  sent(orderId: string): Promise<Sent[]>
  /** What was said about the dead letter of a message, or of an order's refund. */
  said(messageId: string): Promise<Sent[]>
  /** Waits until an event of the type was sent about the order and gives all of its events. */
  untilSent(orderId: string, type: string): Promise<Sent[]>
  /** What the gateway has recorded of an order; undefined when it was never asked. */
  charge(orderId: string): Promise<Record<string, unknown> | undefined>
  gateway(path: string, method?: 'GET' | 'POST'): Promise<Response>
  /** Stops every work that a test, maybe a failed one, has started. */
  stopWork(): Promise<void>
  close(): Promise<void>
}

/** Makes a world. `SLOW_MS` is the delay of `tok_slow`. */
export async function createWorld(slowMs = 400): Promise<World> {
  const db = await templateDatabase({
    role: 'payment_service',
    migrations: join(import.meta.dirname, '../migrations'),
  })
  const folder = mkdtempSync(join(tmpdir(), 'payments-'))
  const sandboxEnv = { LEDGER_FILE: join(folder, 'ledger.jsonl'), SLOW_MS: String(slowMs) }
  let sandbox = await startApp('payment-gateway-sandbox', sandboxEnv)
  const namespace = uniqueNamespace()
  const running = new Set<() => Promise<void>>()

  const env = (overrides: Record<string, string> = {}): Record<string, string> => ({
    DATABASE_URL: db.serviceUrl,
    KAFKA_BROKERS: stack().kafkaBrokers.join(','),
    RABBITMQ_URL: stack().rabbitmqUrl,
    MESSAGING_NAMESPACE: namespace,
    PAYMENT_GATEWAY_URL: sandbox.url,
    GATEWAY_TIMEOUT_MS: '1000',
    CLAIM_LEASE_MS: '1500',
    DUE_POLL_INTERVAL_MS: '50',
    RETRY_BASE_MS: '20',
    RETRY_CAP_MS: '200',
    REFUND_RETRY_BASE_MS: '100',
    REFUND_RETRY_CAP_MS: '200',
    ...overrides,
  })

  const gateway = (path: string, method: 'GET' | 'POST' = 'GET') =>
    fetch(sandbox.url + path, { method })

  const outboxOf = async (key: string, aboutLetters: boolean): Promise<Sent[]> => {
    const rows = await db.query(
      `select type, payload, headers, destination from outbox where key = $1 and type like 'message.%' = $2
       order by id`,
      [key, aboutLetters],
    )
    return rows.map((row) => ({
      type: String(row['type']),
      body: row['payload'] as Sent['body'],
      headers: row['headers'] as Sent['headers'],
      destination: String(row['destination']),
    }))
  }

  const sent = (orderId: string): Promise<Sent[]> => outboxOf(orderId, false)

  const pipelineOf = (consumer: Consumer<PaymentRows>, database: Database): Pipeline =>
    createPipeline({ consumer, database, source: 'payment-service', namespace, logger })

  const startWork = async (overrides: Record<string, string> = {}): Promise<Work> => {
    const settings = readConfig(config, env(overrides))
    const database = openDatabase({ url: db.serviceUrl, applicationName: 'payment-service-test' })
    const health = createHealth()
    const work = createPaymentWork(settings, { database, logger, health })
    const intake = createIntake({
      service: 'payment-service',
      consumers: [work.kafka, work.rabbitmq],
      dueWork: [refundDueWork(work.dueNow)],
      database,
      namespace,
      logger,
      health,
      inboxRetentionDays: 8,
      parkedPollIntervalMs: 50,
    })
    const components = [...work.components, ...intake.components]
    const lifecycle = createLifecycle(components, { logger, shutdownTimeoutMs: 20_000 })
    const pipelines = {
      kafka: intake.of(work.kafka).pipeline,
      rabbitmq: intake.of(work.rabbitmq).pipeline,
    }
    await lifecycle.start()
    health.markStarted()
    const stop = async (): Promise<void> => {
      if (!running.delete(stop)) return
      await lifecycle.stop()
      await database.end()
    }
    running.add(stop)
    return {
      deliver: (...messages) => handleAll(pipelines, messages),
      command: (one) => intake.redrive.pipeline.handle([asIncoming(one)]),
      problems: () =>
        Object.entries(health.readiness().checks)
          .filter(([, report]) => report.status !== 'ok')
          .map(([name, report]) => `${name} is ${report.status}: ${report.detail}`),
      stop,
    }
  }

  const stopWork = async (): Promise<void> => {
    for (const stop of running) await stop()
  }

  return {
    db,
    namespace,
    get sandbox() {
      return sandbox
    },
    env,
    startWork,
    async deliverOnly(...messages) {
      const database = openDatabase({ url: db.serviceUrl, applicationName: 'payment-service-test' })
      const options = { claimLeaseMs: 1, afterCommit: () => undefined }
      const pipelines = {
        kafka: pipelineOf(kafkaConsumer(options), database),
        rabbitmq: pipelineOf(rabbitmqConsumer(options), database),
      }
      await handleAll(pipelines, messages)
      await database.end()
    },
    async restartSandbox(signal) {
      const { port } = new URL(sandbox.url)
      await sandbox.end(signal)
      sandbox = await startApp('payment-gateway-sandbox', { ...sandboxEnv, HTTP_PORT: port })
    },
    async payment(orderId) {
      const [row] = await db.query('select * from payments where order_id = $1', [orderId])
      return row
    },
    sent,
    said: (messageId) => outboxOf(messageId, true),
    untilSent: (orderId, type) =>
      waitFor(() => sent(orderId), {
        message: `${type} of ${orderId}`,
        until: (events) => events.some((event) => event.type === type),
      }),
    async charge(orderId) {
      const answer = await gateway(`/charges/${encodeURIComponent(`${orderId}/charge/do`)}`)
      if (answer.status === 404) return undefined
      return (await answer.json()) as Record<string, unknown>
    },
    gateway,
    stopWork,
    async close() {
      await stopWork()
      await sandbox.end('SIGKILL')
      await db.drop()
      rmSync(folder, { recursive: true })
    },
  }
}

export function newOrderId(): string {
  return newMessageId()
}

/** A `stock.reserved` for an order; each call is a new message. */
export function reserved(orderId: string, token: string): ComposedMessage {
  return message(
    outgoing(stockReservedV1, orderId, {
      orderId,
      lines: [{ sku: 'moka-pot', quantity: 1 }],
      payment: { amountMinor, currency: 'EUR', paymentRef: token },
    }),
    'inventory-service',
  )
}

/** An `order.cancelling` for an order; each call is a new message. */
export function cancelling(
  orderId: string,
  reason: CancelReason = 'customer-request',
): ComposedMessage {
  return message(
    outgoing(orderCancellingV1, orderId, { orderId, reason, currency: 'EUR' }),
    'order-service',
  )
}

/** An attempt of `payment.capture` for an order; each call is a new message. */
export function capture(
  orderId: string,
  token: string,
  attempt = 1,
  priority?: Priority,
): ComposedMessage {
  const payment = { amountMinor, currency: 'EUR', paymentRef: token }
  return message(
    outgoing(paymentCaptureV1, orderId, { orderId, payment }, command(orderId, 'do', attempt)),
    'order-service',
    priority,
  )
}

/** An attempt of `payment.refund` for an order; each call is a new message. */
export function refund(orderId: string, attempt = 1): ComposedMessage {
  const body = { orderId, currency: 'EUR' }
  return message(
    outgoing(paymentRefundV1, orderId, body, command(orderId, 'undo', attempt)),
    'order-service',
  )
}

function command(sagaid: string, direction: 'do' | 'undo', attempt: number): CommandHeaders {
  return { sagaid, step: 'charge', direction, attempt }
}

function message(content: Outgoing, source: string, priority?: Priority): ComposedMessage {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  return compose(content, {
    source,
    namespace: 'test',
    now: new Date(),
    coordination: content.command ? 'orchestrated' : 'choreographed',
    traceparent,
    priority,
  })
}

/** Hands each message to the consumer of its broker, both of them at once. */
async function handleAll(
  pipelines: Record<'kafka' | 'rabbitmq', Pipeline>,
  messages: readonly ComposedMessage[],
): Promise<void> {
  const over = (transport: 'kafka' | 'rabbitmq'): IncomingMessage[] =>
    messages.filter((one) => one.transport === transport).map(asIncoming)
  await Promise.all([
    untilHandled(() => pipelines.kafka.handle(over('kafka'))),
    untilHandled(() => pipelines.rabbitmq.handle(over('rabbitmq'))),
  ])
}

/** Keeps what the gateway answers from being written down: a call is under way for as long as a test needs. */
export function holdAnswers(): Disposable & { readonly firstCame: Promise<void>; letGo(): void } {
  const [first, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const call = (): Promise<void> => {
    first.resolve()
    return over.promise
  }
  enableFaultPoints(callAtEachPass('payment.after-call', call))
  const letGo = (): void => {
    enableFaultPoints(undefined)
    over.resolve()
  }
  return { firstCame: first.promise, letGo, [Symbol.dispose]: letGo }
}

function asIncoming(composed: ComposedMessage): IncomingMessage {
  const { transport, headers, payload, destination } = composed
  return { transport, headers, body: Buffer.from(payload), position: `${destination}/0@0` }
}
