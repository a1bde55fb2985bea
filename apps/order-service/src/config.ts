import {
  databaseConfig,
  kafkaConfig,
  milliseconds,
  positiveInteger,
  processConfig,
  rabbitmqConfig,
} from '@edp/runtime'
import { z } from 'zod'

/** Every setting of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7101 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
  ORDER_DEADLINE_MS: milliseconds
    .default(300_000)
    .describe('an order that is still pending after this is cancelled'),
  DEADLINE_POLL_INTERVAL_MS: milliseconds
    .default(1000)
    .describe('how often overdue choreographed orders are looked for'),
  SAGA_POLL_INTERVAL_MS: milliseconds
    .default(500)
    .describe('how often due timers of sagas are looked for'),
  LOCK_TIMEOUT_MS: milliseconds
    .default(2000)
    .describe('how long a statement waits for a lock, such as that of an Idempotency-Key'),
  POOL_MAX: positiveInteger
    .default(10)
    .describe('database connections for writing, and for reading'),
})
export type Config = z.infer<typeof config>
