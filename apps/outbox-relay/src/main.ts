import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { serviceName } from './service-name.ts'
import { createService } from './service.ts'

await runMain({ name: serviceName, config, create: createService })
