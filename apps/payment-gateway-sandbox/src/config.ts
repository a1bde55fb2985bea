import { millisecondsFrom, processConfig } from '@edp/runtime'
import { z } from 'zod'

export const config = z.object({
  ...processConfig({ httpPort: 7107 }),
  LEDGER_FILE: z
    .string({ error: 'expected the path of a file' })
    .describe('the ledger: JSON lines, made when it is not there'),
  SLOW_MS: millisecondsFrom(0)
    .default(1500)
    .describe('how long tok_slow and tok_refund_fails take before they charge'),
  HANG_MS: millisecondsFrom(0)
    .default(60_000)
    .describe('how long tok_timeout_after_charge is silent when the client does not give up'),
})
export type Config = z.infer<typeof config>
