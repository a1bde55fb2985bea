import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { createService } from './service.ts'

await runMain({ name: 'order-statistics', config, create: createService })
