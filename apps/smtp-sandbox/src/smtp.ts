import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { callbackify } from 'node:util'
import type { Component, Logger } from '@edp/runtime'
import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import type { MailFile } from './mail-file.ts'

/** What an address does to its e-mails, by how it begins, until somebody repairs it. */
export interface Faults {
  /** Repaired addresses take e-mails like any other. */
  readonly repaired: Set<string>
  readonly slowMs: number
}

// What is still under way at a stop is cut off after this.
const closeTimeoutMs = 1000

function isBroken(address: string, beginning: string, { repaired }: Faults): boolean {
  return address.startsWith(beginning) && !repaired.has(address)
}

/** A refusal as SMTP says it: 4xx for now, 5xx for good. */
function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

/** Takes e-mails over SMTP and acknowledges what is in the file. Encryption and log-in are left to the real ones. */
export function createSmtp(options: {
  host: string
  port: number
  mails: MailFile
  faults: Faults
  logger: Logger
}): Component {
  const { host, port, mails, faults, logger } = options
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    closeTimeout: closeTimeoutMs,
    onRcptTo({ address }, _session, done) {
      if (isBroken(address, 'refused', faults)) {
        done(refusal(550, `5.1.1 ${address} is not known here`))
      } else if (isBroken(address, 'busy', faults)) {
        done(refusal(450, `4.2.0 ${address} takes nothing at the moment`))
      } else done()
    },
    onData(stream, { envelope }, done) {
      const to = envelope.rcptTo.map(({ address }) => address)
      const take = async (): Promise<void> => {
        const parsed = await simpleParser(stream)
        if (to.some((address) => isBroken(address, 'slow', faults))) await delay(faults.slowMs)
        const id = parsed.headers.get('x-notification-id')
        mails.add({
          at: new Date().toISOString(),
          to,
          subject: parsed.subject ?? '',
          text: parsed.text ?? '',
          notificationId: typeof id === 'string' ? id : null,
        })
      }
      callbackify(take)(done)
    },
  })
  server.on('error', (err) => logger.warn({ err }, 'an SMTP connection failed'))
  return {
    name: 'smtp',
    async start() {
      const listening = once(server.server, 'listening')
      server.listen(port, host)
      await listening
      logger.info({ host, port }, 'takes e-mails')
    },
    async stop() {
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
