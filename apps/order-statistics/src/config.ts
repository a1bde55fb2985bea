import { databaseConfig, kafkaConfig, processConfig, rabbitmqConfig } from '@edp/runtime'
import { z } from 'zod'

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7108 }),
  ...databaseConfig,
  ...kafkaConfig,
  ...rabbitmqConfig,
})
export type Config = z.infer<typeof config>
