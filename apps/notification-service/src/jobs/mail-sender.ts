import { createTransport } from 'nodemailer'
import type { Mail } from '../domain/mail.ts'

/** The header that says whose e-mail it is: two with the same id are one too many. */
export const notificationHeader = 'X-Notification-Id'

/** What the provider said. */
export type SendOutcome =
  | { readonly kind: 'sent'; readonly response: string }
  /** This e-mail, not now. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  /** This e-mail, never. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** No e-mail at all, now: it cannot be reached, does not know us, or wants to be left alone. */
  | { readonly kind: 'away'; readonly message: string }

/** An e-mail with its notification. */
export interface Letter extends Mail {
  readonly notificationId: string
  readonly to: string
}

/** Sends e-mails over a pool of connections. */
export interface MailSender {
  /** Never throws for what the provider does. */
  send(letter: Letter): Promise<SendOutcome>
  close(): void
}

export function createMailSender(options: {
  smtpUrl: string
  from: string
  connectTimeoutMs: number
  /** Longer silence than this, and nobody knows whether the e-mail is out. */
  answerTimeoutMs: number
  connectionsMax: number
}): MailSender {
  const { smtpUrl, from, connectTimeoutMs, answerTimeoutMs, connectionsMax } = options
  const transport = createTransport({
    url: smtpUrl,
    pool: true,
    maxConnections: connectionsMax,
    maxMessages: Infinity,
    // The pool would send an e-mail again by itself when a connection breaks, although the server may have taken it.
    maxRequeues: 0,
    connectionTimeout: connectTimeoutMs,
    greetingTimeout: connectTimeoutMs,
    socketTimeout: answerTimeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  const domain = from.slice(from.indexOf('@') + 1)
  return {
    async send({ notificationId, to, subject, text }) {
      try {
        const { response } = await transport.sendMail({
          from,
          to: { name: '', address: to },
          subject,
          text,
          // The same for every attempt, so that a mailbox too can see a duplicate.
          messageId: `<${notificationId}@${domain}>`,
          headers: { [notificationHeader]: notificationId },
        })
        return { kind: 'sent', response }
      } catch (error) {
        return outcomeOf(error)
      }
    },
    close: () => transport.close(),
  }
}

// What fails before an e-mail is spoken of.
const awayCodes = new Set(['EDNS', 'ETLS', 'EAUTH', 'EOAUTH2', 'ENOAUTH', 'EPROXY'])
const awayCommands = new Set(['EHLO', 'HELO', 'LHLO', 'STARTTLS'])
const awayTimeouts = new Set(['CONNECT_TIMEOUT', 'GREETING_TIMEOUT', 'UPGRADE_TIMEOUT'])

/**
 * What an error of nodemailer says. A connection that breaks, or a silence, in the middle of an e-mail concerns that e-mail, which
 * may be why; what keeps a connection from being made concerns all.
 */
export function outcomeOf(error: unknown): SendOutcome {
  const details = detailsOf(error)
  const { code, command, responseCode, message } = details
  if (isAway(details)) return { kind: 'away', message }
  if (responseCode === undefined) {
    // The address itself, or the text: it never left.
    if (code === 'EENVELOPE' || code === 'EMESSAGE') {
      return { kind: 'refused', code: 'unsendable', message }
    }
    return { kind: 'failed', code: 'smtp-broken', message }
  }
  if (responseCode < 500) return { kind: 'failed', code: `smtp-${responseCode}`, message }
  // Who refuses the sender refuses everything; 552 is the size of this one.
  if (command === 'MAIL FROM' && responseCode !== 552) return { kind: 'away', message }
  return { kind: 'refused', code: `smtp-${responseCode}`, message }
}

function isAway({ code, command, syscall, timeoutType, responseCode }: Details): boolean {
  return (
    responseCode === 421 ||
    awayCodes.has(code) ||
    awayCommands.has(command) ||
    awayTimeouts.has(timeoutType) ||
    syscall === 'connect'
  )
}

interface Details {
  readonly code: string
  readonly command: string
  readonly syscall: string
  readonly timeoutType: string
  readonly responseCode: number | undefined
  readonly message: string
}

function detailsOf(error: unknown): Details {
  const field = (name: string): unknown =>
    error instanceof Error ? Reflect.get(error, name) : undefined
  const text = (name: string): string => {
    const value = field(name)
    return typeof value === 'string' ? value : ''
  }
  const responseCode = field('responseCode')
  return {
    code: text('code'),
    command: text('command'),
    syscall: text('syscall'),
    timeoutType: text('timeoutType'),
    responseCode: typeof responseCode === 'number' ? responseCode : undefined,
    message: error instanceof Error ? error.message : String(error),
  }
}
