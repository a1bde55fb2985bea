import { runMain } from '@edp/runtime'
import { config } from './config.ts'
import { createService } from './service.ts'
import { serviceName } from './service-name.ts'

await runMain({ name: serviceName, config, create: createService })
