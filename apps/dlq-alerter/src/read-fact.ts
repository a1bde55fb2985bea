import {
  type BodyReading,
  type Envelope,
  fromHeaders,
  type MessageDeadLetteredV1,
  messageDeadLetteredV1,
  messageResolvedV1,
  messageWaitingV1,
  parseType,
  readBody,
  typeFromHeaders,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'
import { storable } from './content.ts'
import { groupIdOf } from './domain/derived-id.ts'
import type { Died, Fact } from './domain/fact.ts'

/** What came of reading a message: what it says, that it says nothing to us, or why it cannot be read. */
export type FactReading =
  | { readonly kind: 'fact'; readonly fact: Fact }
  | { readonly kind: 'skipped' }
  | {
      readonly kind: 'unreadable'
      readonly reason: 'poison' | 'unknown-version'
      readonly problems: readonly string[]
    }

/** Postgres' integer. */
const integerMax = 2_147_483_647
/** An index takes no longer names. */
const consumerLengthMax = 200

const aDayMs = 24 * 60 * 60 * 1000

/**
 * Reads a fact of the topic of dead letters. A type that is not ours is skipped: adding a fact breaks nobody.
 * @param now no fact was said later, whatever its clock says
 */
export function readFact(incoming: IncomingMessage, now: Date): FactReading {
  const type = typeFromHeaders(incoming.transport, incoming.headers)
  if (type === undefined) return poison(['no type header'])
  const parsed = parseType(type)
  if (!parsed) return poison([`the type ${type} has no version such as .v1`])
  const read = readers.get(parsed.name)
  if (!read) return { kind: 'skipped' }
  const reading = fromHeaders(incoming.transport, incoming.headers)
  if (!reading.ok) return poison(reading.problems)
  const { envelope } = reading
  if (timeOf(envelope.id).getTime() > now.getTime() + aDayMs) {
    return poison([`the id ${envelope.id} was made more than a day from now`])
  }
  const body = parseJson(incoming.body)
  if (!body.ok) return poison([body.problem])
  const fact = read(envelope, body.value, saidAt(envelope, now))
  if (!fact.ok) return { kind: 'unreadable', reason: fact.reason, problems: fact.problems }
  const { consumer } = fact.body
  if (consumer.length > consumerLengthMax) return poison([`the name ${consumer} is too long`])
  return { kind: 'fact', fact: fact.body }
}

type Reader = (envelope: Envelope, body: unknown, at: Date) => BodyReading<Fact>

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  [
    messageDeadLetteredV1.name,
    (envelope, body, at) =>
      mapped(readBody(messageDeadLetteredV1, envelope.type, body), (read) =>
        diedOf(envelope, read, at),
      ),
  ],
  [
    messageResolvedV1.name,
    (envelope, body, at) =>
      mapped(readBody(messageResolvedV1, envelope.type, body), (read) => ({
        kind: 'resolved',
        id: envelope.id,
        at,
        ...identityOf(read),
        outcome: read.outcome,
        redriveId: read.redriveId,
      })),
  ],
  [
    messageWaitingV1.name,
    (envelope, body, at) =>
      mapped(readBody(messageWaitingV1, envelope.type, body), (read) => ({
        kind: 'waiting',
        id: envelope.id,
        at,
        ...identityOf(read),
        waiting: Math.min(read.waiting, integerMax),
      })),
  ],
])

function mapped<Body>(reading: BodyReading<Body>, map: (body: Body) => Fact): BodyReading<Fact> {
  return reading.ok ? { ok: true, body: map(reading.body) } : reading
}

function diedOf({ id, coordination }: Envelope, body: MessageDeadLetteredV1, at: Date): Died {
  const { source, position, type, key, correlationId, causationId, traceparent, error } = body
  return {
    kind: 'died',
    id,
    at,
    ...identityOf(body),
    redriveId: body.redriveId,
    content: { ...body.content, bytes: Math.min(body.content.bytes, integerMax) },
    subject: {
      source,
      position,
      type,
      key,
      correlationId,
      causationId,
      traceparent,
      coordination,
    },
    failure: {
      groupId: groupIdOf(body.fingerprint),
      fingerprint: body.fingerprint,
      reason: body.reason,
      errorCode: error.code,
      errorMessage: error.message,
      errorStack: error.stack,
      attempts: Math.min(body.attempts, integerMax),
      firstFailedAt: new Date(body.firstFailedAt),
      lastFailedAt: new Date(body.lastFailedAt),
    },
  }
}

function identityOf(body: { consumer: string; messageId: string }) {
  return { consumer: body.consumer, messageId: body.messageId.toLowerCase() }
}

function saidAt({ time }: Envelope, now: Date): Date {
  const at = new Date(time)
  return at < now ? at : now
}

/** When a uuid v7 was made: its first 48 bits. */
export function timeOf(id: string): Date {
  return new Date(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16))
}

type JsonReading =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string }

function parseJson(body: Uint8Array): JsonReading {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8')
  try {
    // Looked for first: a reviver costs more than the parsing.
    const value: unknown = text.includes('\\u0000')
      ? JSON.parse(text, (_name, part: unknown) =>
          typeof part === 'string' ? storable(part) : part,
        )
      : JSON.parse(text)
    return { ok: true, value }
  } catch (error) {
    return { ok: false, problem: `the body is not JSON: ${String(error)}` }
  }
}

function poison(problems: readonly string[]): FactReading {
  return { kind: 'unreadable', reason: 'poison', problems }
}
