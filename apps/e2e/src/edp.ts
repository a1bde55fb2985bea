import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { repositoryRoot } from './stack-settings.ts'
import type { System } from './system.ts'

const execute = promisify(execFile)
/** Above the largest message that a test has shown. */
const stdoutBytesMax = 16 * 1024 * 1024

/** Runs `pnpm edp` with `--json` against a system. */
export interface Edp {
  /** @returns what it printed @throws Error with what it said when its exit code is not 0 */
  run(...words: string[]): Promise<unknown>
}

/** The operators' command line, as it is built, for one system. */
export function createEdp({ apps }: System): Edp {
  const env = {
    PATH: process.env['PATH'],
    EDP_ORDER_SERVICE_URL: apps['order-service'].url,
    EDP_INVENTORY_SERVICE_URL: apps['inventory-service'].url,
    EDP_PAYMENT_SERVICE_URL: apps['payment-service'].url,
    EDP_OUTBOX_RELAY_URL: apps['outbox-relay'].url,
    EDP_DLQ_ALERTER_URL: apps['dlq-alerter'].url,
  }
  const main = join(repositoryRoot, 'apps/edp-cli/dist/main.js')
  return {
    run: async (...words) => {
      const { stdout } = await execute(process.execPath, [main, ...words, '--json'], {
        env,
        maxBuffer: stdoutBytesMax,
      })
      const document: unknown = JSON.parse(stdout)
      return document
    },
  }
}
