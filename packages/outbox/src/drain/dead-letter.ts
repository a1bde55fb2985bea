import { createHash } from 'node:crypto'
import {
  type ComposedMessage,
  compose,
  coordination,
  deadLetterBodyBytesMax,
  deadLetterStackBytesMax,
  headerOf,
  messageDeadLetteredV1,
  outgoing,
  parseType,
  type Transport,
} from '@edp/event-schemas'
import type { AppError } from '@edp/runtime'
import type { FetchedRow } from './window.ts'

/** What a dead letter of the outbox says. */
export interface Doomed {
  readonly row: FetchedRow
  /** As they stand in the table: the headers may be what is broken. */
  readonly messageId: string
  readonly type: string
  readonly error: AppError
}

/** Where rows die, and when. */
export interface DeathPlace {
  readonly database: string
  readonly transport: Transport
  readonly namespace: string
  readonly now: Date
}

/** The `source` of what a relay says by itself. */
export const relaySource = 'outbox-relay'

const headersMax = 64
const headerCharsMax = 1024
const errorCharsMax = 1000

/** The consumer by whose name a relay says that rows of this database are dead. */
export function relayConsumer(database: string): string {
  return `${relaySource}.${database.toLowerCase().replaceAll(/[^a-z0-9-]/g, '-')}`
}

/** Whether a message is itself a dead letter: these never breed. */
export function isDeadLetter(type: string): boolean {
  return parseType(type)?.name === messageDeadLetteredV1.name
}

/**
 * The dead letter of a row that can never be published, ready for the outbox: at most 64 KiB of its body, the rest stays in
 * `outbox_dead`.
 * @throws z.ZodError when the row's message id is none
 */
export function composeDeadLetter(doomed: Doomed, place: DeathPlace): ComposedMessage {
  const { row, messageId, type, error } = doomed
  const { database, transport, namespace, now } = place
  const headers = readHeaders(row)
  const header = (attribute: string) => headers[headerOf(transport, attribute)] ?? null
  const consumer = relayConsumer(database)
  const body = {
    consumer,
    messageId,
    source: 'outbox' as const,
    position: `outbox/${transport}/${row.id}`,
    type,
    key: row.key,
    correlationId: header('correlationid'),
    causationId: header('causationid'),
    traceparent: header('traceparent'),
    content: {
      headers,
      body: cutText(row.payload, deadLetterBodyBytesMax),
      encoding: 'utf8' as const,
      bytes: Buffer.byteLength(row.payload),
    },
    reason: 'outbox-unpublishable' as const,
    error: describeError(error),
    attempts: 1,
    firstFailedAt: now.toISOString(),
    lastFailedAt: now.toISOString(),
    fingerprint: fingerprintOf(consumer, type, error.code),
    redriveId: null,
  }
  return compose(outgoing(messageDeadLetteredV1, messageId, body), {
    source: relaySource,
    namespace,
    now,
    coordination: coordinationOf(transport, headers),
    causationId: messageId,
  })
}

/** The style of saga that a message belongs to; choreographed when it does not say. */
export function coordinationOf(transport: Transport, headers: Readonly<Record<string, string>>) {
  const said = coordination.safeParse(headers[headerOf(transport, 'coordination')])
  return said.success ? said.data : 'choreographed'
}

/** The headers as far as they are any: text by name. */
export function textHeaders(json: string): Record<string, string> {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null) return {}
  const texts = Object.entries(value)
    .slice(0, headersMax)
    .map(([name, text]) => [name, typeof text === 'string' ? text : JSON.stringify(text)] as const)
  return Object.fromEntries(texts)
}

function readHeaders(row: FetchedRow): Record<string, string> {
  const headers = textHeaders(row.headersJson ?? JSON.stringify(row.headers))
  return Object.fromEntries(
    Object.entries(headers).map(([name, text]) => [name, text.slice(0, headerCharsMax)]),
  )
}

function describeError({ code, message, stack }: AppError) {
  return {
    code,
    message: message.slice(0, errorCharsMax),
    stack: stack === undefined ? null : cutText(stack, deadLetterStackBytesMax),
  }
}

// Without a stack frame: it is always the publisher's.
function fingerprintOf(...parts: readonly string[]): string {
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 32)
}

function cutText(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text)
  if (bytes.length <= bytesMax) return text
  // As a stream: a character that was cut in two is left out.
  return new TextDecoder().decode(bytes.subarray(0, bytesMax), { stream: true })
}
