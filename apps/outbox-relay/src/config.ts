import {
  kafkaConfig,
  millisecondsFrom,
  postgresUrl,
  processConfig,
  rabbitmqConfig,
} from '@edp/runtime'
import { z } from 'zod'

const expected =
  'expected a JSON object of name → postgres:// URL, such as {"orders":"postgres://…"}'

function jsonObject(error: string) {
  return z.string({ error }).transform((text, context): unknown => {
    try {
      return JSON.parse(text)
    } catch {
      context.issues.push({ code: 'custom', message: error, input: text })
      return z.NEVER
    }
  })
}

const databases = jsonObject(expected)
  .pipe(z.record(z.string().regex(/^[a-z][a-z0-9_-]*$/), postgresUrl, { error: expected }))
  .refine((urls) => Object.keys(urls).length > 0, { error: 'expected at least one database' })

const expectedPolicies =
  'expected a JSON object of destination → skip or halt, such as {"edp.order.events":"skip"}'

const policies = jsonObject(expectedPolicies).pipe(
  z.record(z.string().min(1), z.enum(['skip', 'halt'], { error: 'expected skip or halt' }), {
    error: expectedPolicies,
  }),
)

/** Every setting of the relay. */
export const config = z.object({
  ...processConfig({ httpPort: 7104 }),
  ...kafkaConfig,
  ...rabbitmqConfig,
  OUTBOX_DATABASES: databases.describe('the databases to drain: a JSON object of name → URL'),
  OUTBOX_LEASE_MS: millisecondsFrom(2000)
    .default(6000)
    .describe('how long a relay that vanished keeps others from taking over'),
  OUTBOX_DEAD_ROWS: policies
    .optional()
    .describe(
      'what a row that can never be published does to its key: a JSON object of destination (* for every other) → halt or skip; default halt',
    ),
})
export type Config = z.infer<typeof config>
