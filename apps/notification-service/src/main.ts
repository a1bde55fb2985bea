import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { createService } from './service.ts'

await runMain({ name: 'notification-service', config, create: createService })
