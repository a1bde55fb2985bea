import {
  databaseConfig,
  daysFrom,
  kafkaConfig,
  milliseconds,
  millisecondsFrom,
  positiveInteger,
  processConfig,
  rabbitmqConfig,
  redisUrl,
  setting,
  smtpUrl,
} from '@edp/runtime'
import { z } from 'zod'

const domain = setting('a domain such as customers.example', (text) =>
  /^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(text) ? text : undefined,
)

// Above what Kafka keeps and the inbox knows: a fact that could still be read again would be told again.
const retentionDaysMin = 14

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7106 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
  REDIS_URL: redisUrl.describe('redis://host:port of the jobs'),
  SMTP_URL: smtpUrl.describe('smtp://user:password@host:port of the provider'),
  MAIL_FROM: z.email().default('orders@shop.example').describe('the sender of every e-mail'),
  OPERATIONS_EMAIL: z.email().default('operations@shop.example').describe('gets the digest'),
  CUSTOMER_EMAIL_DOMAIN: domain
    .default('customers.example')
    .describe("facts carry a customer's id and no address: the address is <id>@ this"),
  REVIEW_REQUEST_DELAY_MS: millisecondsFrom(0)
    .default(3_600_000)
    .describe('after the confirmation, until the customer is asked for a review'),
  DIGEST_INTERVAL_MS: positiveInteger.default(86_400_000).describe('between two digests'),
  DIGEST_OFFSET_MS: positiveInteger
    .default(25_200_000)
    .describe('of the digests after multiples of the interval since 1970 UTC; default 07:00'),
  JOB_CONCURRENCY: positiveInteger.default(10).describe('e-mails at the same time'),
  JOB_ATTEMPTS_MAX: positiveInteger
    .default(8)
    .describe('of one e-mail that the provider refuses for now'),
  JOB_RETRY_BASE_MS: milliseconds
    .default(1000)
    .describe('bound of the first wait after such a refusal; doubled each time, with full jitter'),
  JOB_LOCK_MS: milliseconds
    .default(30_000)
    .describe("BullMQ's lock on a job; a job without one has stalled"),
  LEASE_MS: milliseconds
    .default(30_000)
    .describe('how long a notification is left to who claimed it; renewed at a third of it'),
  MAILS_PER_SECOND_MAX: positiveInteger
    .default(100)
    .describe("the provider's rate limit, over all processes of the service"),
  PROVIDER_RETRY_BASE_MS: milliseconds
    .default(500)
    .describe('bound of the first wait for a provider, or a Postgres, that is away'),
  PROVIDER_RETRY_CAP_MS: milliseconds.default(15_000).describe('bound of every such wait'),
  SMTP_CONNECT_TIMEOUT_MS: milliseconds.default(10_000).describe('for connection and greeting'),
  SMTP_ANSWER_TIMEOUT_MS: milliseconds
    .default(600_000)
    .describe(
      "silence of the provider after which an e-mail's fate is unknown and it is sent again (RFC 5321 asks for ten minutes)",
    ),
  REDIS_COMMAND_TIMEOUT_MS: milliseconds.default(5000).describe('for a command to add or look'),
  FEED_INTERVAL_MS: milliseconds.default(500).describe('how often jobs to add are looked for'),
  RECONCILE_INTERVAL_MS: milliseconds
    .default(5000)
    .describe('how often rows that are due and unsent are compared with Redis'),
  RECONCILE_AFTER_MS: milliseconds
    .default(30_000)
    .describe('how long a row is due, and its job unseen, before it is compared'),
  DEAD_JOBS_INTERVAL_MS: milliseconds
    .default(30_000)
    .describe('how often the failed jobs are compared with the dead rows'),
  JOB_COUNT_INTERVAL_MS: milliseconds
    .default(5000)
    .describe('how often the states of the queue are counted'),
  NOTIFICATION_RETENTION_DAYS: daysFrom(retentionDaysMin)
    .default(90)
    .describe('how long notifications that were sent or cancelled are kept'),
  STALLED_WINDOW_MS: milliseconds
    .default(600_000)
    .describe('how long a stalled job is counted as recent, and so alerts'),
})
export type Config = z.infer<typeof config>
