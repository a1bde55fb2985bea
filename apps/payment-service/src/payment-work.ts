import type { Consumer } from '@edp/messaging'
import type { Component, Database, Health, Logger } from '@edp/runtime'
import { Circuit } from './circuit.ts'
import type { Config } from './config.ts'
import { kafkaConsumer, type PaymentConsumerOptions, rabbitmqConsumer } from './consumers.ts'
import { duePayments } from './due-payments.ts'
import { createGateway } from './gateway.ts'
import { GatewayCalls } from './gateway-calls.ts'
import { recordAnswers } from './record-answers.ts'
import type { PaymentRows } from './rows.ts'

export const serviceName = 'payment-service'

// Some seconds of work for the gateway; about ten megabytes when all of it waits.
const inHandMax = 10_000
const circuitBackoff = { baseMs: 200, capMs: 5000 }

export interface PaymentWork {
  readonly kafka: Consumer<PaymentRows>
  readonly rabbitmq: Consumer<PaymentRows>
  /** Looks for due payments now. */
  readonly dueNow: () => void
  readonly components: Component[]
}

/** What talks to the gateway: the consumers hand over what they committed, the due work what a crash or a failure left. */
export function createPaymentWork(
  config: Config,
  { database, logger, health }: { database: Database; logger: Logger; health: Health },
): PaymentWork {
  const claimLeaseMs = config.CLAIM_LEASE_MS
  const gateway = createGateway({
    url: config.PAYMENT_GATEWAY_URL,
    timeoutMs: config.GATEWAY_TIMEOUT_MS,
    connectionsMax: config.GATEWAY_CALLS_MAX,
  })
  const circuit = new Circuit(circuitBackoff)
  const calls = new GatewayCalls({
    gateway,
    circuit,
    logger,
    callsMax: config.GATEWAY_CALLS_MAX,
    inHandMax,
    record: recordAnswers({
      database,
      source: serviceName,
      namespace: config.MESSAGING_NAMESPACE,
      claimLeaseMs,
      retryPolicy: {
        attemptsMax: config.CALL_ATTEMPTS_MAX,
        retry: { baseMs: config.RETRY_BASE_MS, capMs: config.RETRY_CAP_MS },
        refundFailed: { baseMs: config.REFUND_RETRY_BASE_MS, capMs: config.REFUND_RETRY_CAP_MS },
      },
    }),
  })
  const due = duePayments({
    database,
    calls,
    claimLeaseMs,
    pollIntervalMs: config.DUE_POLL_INTERVAL_MS,
    logger,
  })
  health.register('payment-gateway', () => circuit.report())
  health.register(due.name, () => due.report())
  const client: Component = {
    name: 'gateway-client',
    start: async () => undefined,
    stop: () => gateway.close(),
  }
  const options: PaymentConsumerOptions = {
    claimLeaseMs,
    afterCommit: (payments) => calls.submit(payments),
  }
  return {
    kafka: kafkaConsumer(options),
    rabbitmq: rabbitmqConsumer(options),
    dueNow: () => due.poke(),
    components: [client, calls, due],
  }
}
