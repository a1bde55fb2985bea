import { databaseConfig, daysFrom, kafkaConfig, processConfig, rabbitmqConfig } from '@edp/runtime'
import { z } from 'zod'
import { alertingConfig } from './alerts/settings.ts'

// Above what Kafka keeps: a letter whose fact could still be read again would come back as a new one.
const retentionDaysMin = 14

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7105 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
  ...alertingConfig,
  LETTER_RETENTION_DAYS: daysFrom(retentionDaysMin)
    .default(90)
    .describe('how long resolved and archived letters are kept, and the record of what was done'),
})
export type Config = z.infer<typeof config>
