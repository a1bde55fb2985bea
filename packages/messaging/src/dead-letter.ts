import { isUtf8 } from 'node:buffer'
import {
  coordination as anyCoordination,
  deadLetterBodyBytesMax,
  type DeadLetterReason,
  messageDeadLetteredV1,
  type MessageDeadLetteredV1,
  type Origin,
  outgoing,
  type Outgoing,
} from '@edp/event-schemas'
import type { Failure } from './failure.ts'
import { fingerprintOf } from './fingerprint.ts'
import { attributeOf, type IncomingMessage, subjectOf } from './incoming-message.ts'
import { decodePrefix, firstBytes } from './storable-text.ts'

/** Who sends what is said about dead letters, and when. */
export type Sender = Pick<Origin, 'source' | 'namespace' | 'now'>

/** A message that its consumer gives up, with what it failed with. */
export interface DeadMessage {
  readonly consumer: string
  readonly messageId: string
  readonly incoming: IncomingMessage
  readonly failure: Pick<Failure, 'code' | 'message' | 'stack'>
  readonly reason: DeadLetterReason
  readonly attempts: number
  readonly firstFailedAt: Date
  readonly lastFailedAt: Date
  readonly redriveId: string | null
}

/** How much of an attribute: ids and types that mean something are shorter. */
const attributeBytesMax = 1024
/** How much of the headers a letter carries: a name or value that does not fit any more is left out. */
const headersBytesMax = 64 * 1024

/** The letter that tells of a dead message. It fits into its topic, whatever the message was. */
export function deadLetter(dead: DeadMessage): Outgoing {
  const { consumer, messageId, incoming, failure, reason, attempts, redriveId } = dead
  const { code, message, stack } = failure
  const attribute = (name: string) => shortAttribute(incoming, name) ?? null
  const type = attribute('type')
  const body: MessageDeadLetteredV1 = {
    consumer,
    messageId,
    source: incoming.transport,
    position: incoming.position,
    type,
    key: firstBytes(subjectOf(incoming) ?? '', attributeBytesMax) || null,
    correlationId: attribute('correlationid'),
    causationId: attribute('causationid'),
    traceparent: attribute('traceparent'),
    content: { headers: letterHeaders(incoming.headers), ...letterBody(incoming.body) },
    reason,
    error: { code, message, stack },
    attempts,
    firstFailedAt: dead.firstFailedAt.toISOString(),
    lastFailedAt: dead.lastFailedAt.toISOString(),
    fingerprint: fingerprintOf({ consumer, type, code, stack }),
    redriveId,
  }
  return outgoing(messageDeadLetteredV1, messageId, body)
}

/** The envelope of what is said about a message: caused by it, and of its style where that is known. */
export function originOfLetter(
  incoming: Pick<IncomingMessage, 'transport' | 'headers'>,
  sender: Sender,
): Origin {
  const style = anyCoordination.safeParse(attributeOf(incoming, 'coordination'))
  const causationId = shortAttribute(incoming, 'id')
  const traceparent = shortAttribute(incoming, 'traceparent')
  return {
    source: sender.source,
    namespace: sender.namespace,
    now: sender.now,
    coordination: style.success ? style.data : 'choreographed',
    ...(causationId && { causationId }),
    ...(traceparent && { traceparent }),
  }
}

/** An attribute of a message that may be anything. Undefined when it is missing or empty. */
function shortAttribute(
  message: Pick<IncomingMessage, 'transport' | 'headers'>,
  name: string,
): string | undefined {
  return firstBytes(attributeOf(message, name) ?? '', attributeBytesMax) || undefined
}

/** The headers of a message as they can be kept. */
export function definedHeaders(headers: IncomingMessage['headers']): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) kept[name] = value
  return kept
}

function letterHeaders(headers: IncomingMessage['headers']): Record<string, string> {
  const kept: Record<string, string> = {}
  let room = headersBytesMax
  for (const [name, value] of Object.entries(definedHeaders(headers))) {
    const bytes = Buffer.byteLength(name) + Buffer.byteLength(value)
    if (bytes > room) continue
    room -= bytes
    kept[name] = value
  }
  return kept
}

/** The first bytes of a body: as text when all of it is UTF-8, else in base64. */
function letterBody(body: Uint8Array): Omit<MessageDeadLetteredV1['content'], 'headers'> {
  const bytes = body.byteLength
  if (isUtf8(body)) {
    return { body: decodePrefix(body, deadLetterBodyBytesMax), encoding: 'utf8', bytes }
  }
  const start = Buffer.from(body.buffer, body.byteOffset, Math.min(bytes, deadLetterBodyBytesMax))
  return { body: start.toString('base64'), encoding: 'base64', bytes }
}
