import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { createService } from './service.ts'

await runMain({ name: 'inventory-service', config, create: createService })
