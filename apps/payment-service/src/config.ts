import {
  databaseConfig,
  httpUrl,
  kafkaConfig,
  milliseconds,
  positiveInteger,
  processConfig,
  rabbitmqConfig,
} from '@edp/runtime'
import { z } from 'zod'

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7103 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
  PAYMENT_GATEWAY_URL: httpUrl.describe('http://host:port of the payment gateway'),
  GATEWAY_TIMEOUT_MS: milliseconds
    .default(3000)
    .describe('silence of the gateway after which the outcome of a call is unknown'),
  GATEWAY_CALLS_MAX: positiveInteger.default(64).describe('calls of the gateway at the same time'),
  CLAIM_LEASE_MS: milliseconds
    .default(10_000)
    .describe('how long a payment is left to the process that took it, before another does'),
  DUE_POLL_INTERVAL_MS: milliseconds.default(500).describe('how often due payments are looked for'),
  CALL_ATTEMPTS_MAX: positiveInteger
    .default(8)
    .describe('calls without an outcome before a capture is undone, or a refund has failed'),
  RETRY_BASE_MS: milliseconds.default(200).describe('bound of the first wait after such a call'),
  RETRY_CAP_MS: milliseconds.default(30_000).describe('bound of every wait after such a call'),
  REFUND_RETRY_BASE_MS: milliseconds.default(5000).describe('the same once a refund has failed'),
  REFUND_RETRY_CAP_MS: milliseconds.default(300_000).describe('the same once a refund has failed'),
})
export type Config = z.infer<typeof config>
