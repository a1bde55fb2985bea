import { brokerList, amqpUrl, milliseconds, postgresUrl, processConfig } from '@edp/runtime'
import { z } from 'zod'

const expected =
  'expected a JSON object of name → postgres:// URL, such as {"orders":"postgres://…"}'

const databases = z
  .string({ error: expected })
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown
    } catch {
      context.issues.push({ code: 'custom', message: expected, input: text })
      return z.NEVER
    }
  })
  .pipe(z.record(z.string().regex(/^[a-z][a-z0-9_-]*$/), postgresUrl, { error: expected }))
  .refine((urls) => Object.keys(urls).length > 0, { error: 'expected at least one database' })

/** Every setting of the relay. */
export const config = z.object({
  ...processConfig({ httpPort: 7104 }),
  KAFKA_BROKERS: brokerList.describe('host:port,host:port'),
  RABBITMQ_URL: amqpUrl.describe('amqp://user:password@host:port/vhost'),
  OUTBOX_DATABASES: databases.describe('the databases to drain: a JSON object of name → URL'),
  OUTBOX_LEASE_MS: milliseconds
    .refine((value) => value >= 2000, { error: 'expected at least 2000' })
    .default(6000)
    .describe('how long a relay that vanished keeps others from taking over'),
})
export type Config = z.infer<typeof config>
