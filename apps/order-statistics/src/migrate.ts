import { fileURLToPath } from 'node:url'
import { runMigrateMain } from '@edp/runtime/migrate'

await runMigrateMain(fileURLToPath(new URL('../migrations', import.meta.url)))
