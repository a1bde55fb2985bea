import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { createService } from './service.ts'

await runMain({ name: 'smtp-sandbox', config, create: createService })
