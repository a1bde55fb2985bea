import { databaseConfig, kafkaConfig, processConfig, rabbitmqConfig } from '@edp/runtime'
import { z } from 'zod'
import { alertingConfig } from './alerts/settings.ts'

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7105 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
  ...alertingConfig,
})
export type Config = z.infer<typeof config>
