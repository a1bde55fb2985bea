import { millisecondsFrom, port, processConfig } from '@edp/runtime'
import { z } from 'zod'

export const config = z.object({
  ...processConfig({ httpPort: 7026 }),
  SMTP_HOST: z.string().default('127.0.0.1').describe('address to take e-mails at'),
  SMTP_PORT: port.default(7025).describe('port to take e-mails at'),
  MAILS_FILE: z
    .string({ error: 'expected the path of a file' })
    .describe('the e-mails: JSON lines, made when it is not there'),
  SLOW_MS: millisecondsFrom(0)
    .default(3000)
    .describe('how long an e-mail to slow… waits for its answer'),
})
export type Config = z.infer<typeof config>
