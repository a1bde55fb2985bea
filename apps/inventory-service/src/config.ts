import { databaseConfig, kafkaConfig, processConfig } from '@edp/runtime'
import { z } from 'zod'

/** The environment of the service. */
export const config = z.object({
  ...processConfig({ httpPort: 7102 }),
  ...databaseConfig,
  ...kafkaConfig,
})
export type Config = z.infer<typeof config>
