import {
  type Coordination,
  fromHeaders,
  headerPrefix,
  parseType,
  type Transport,
  typeFromHeaders,
} from '@edp/event-schemas'
import { AppError, unreachable } from '@edp/runtime'
import type { BoundMessage, Consumer, HandlerEntry, Tables } from './handler.ts'

/** A message as a broker delivered it. */
export interface IncomingMessage {
  readonly transport: Transport
  /** Where it lies, for logs and dead letters: `edp.order.events/3@1207`. */
  readonly position: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

/** A message that was read, with the place that it came from. */
export interface PositionedMessage<T extends Tables> {
  readonly message: BoundMessage<T>
  readonly position: string
}

/** What became of the messages of a batch when they were read. */
export interface BatchReading<T extends Tables> {
  /** To be handled, in the order in which they came. */
  readonly messages: readonly PositionedMessage<T>[]
  /** Facts that are not for this consumer: of a type that it does not handle, or of the other style of saga. */
  readonly skipped: number
  /** Why the others can never be handled, each with its position. */
  readonly failures: readonly AppError[]
}

/** What reading depends on. */
export interface ReadingOptions<T extends Tables> {
  consumer: Pick<Consumer<T>, 'handlers'>
  now: Date
  /** How far back the inbox has partitions. */
  inboxRetentionDays: number
}

const aDayMs = 24 * 60 * 60 * 1000
const otherStyle = {
  choreographed: 'orchestrated',
  orchestrated: 'choreographed',
} as const satisfies Record<Coordination, Coordination>

/** Step 1 of a batch: skips what the consumer does not handle, by headers alone, and reads the rest. */
export function readBatch<T extends Tables>(
  batch: readonly IncomingMessage[],
  options: ReadingOptions<T>,
): BatchReading<T> {
  const messages: PositionedMessage<T>[] = []
  const failures: AppError[] = []
  let skipped = 0
  for (const incoming of batch) {
    try {
      const message = readMessage(incoming, options)
      if (message) messages.push({ message, position: incoming.position })
      else skipped += 1
    } catch (error) {
      failures.push(
        error instanceof AppError ? error : unreadable(incoming, 'poison', [String(error)]),
      )
    }
  }
  return { messages, skipped, failures }
}

/** @throws AppError `permanent` when the message can never be read */
function readMessage<T extends Tables>(
  incoming: IncomingMessage,
  options: ReadingOptions<T>,
): BoundMessage<T> | undefined {
  const entry = entryOf(incoming, options.consumer)
  if (entry === undefined || isOtherStyle(incoming, entry)) return passOver(incoming)
  const reading = fromHeaders(incoming.transport, incoming.headers)
  if (!reading.ok) throw unreadable(incoming, 'poison', reading.problems)
  const { envelope } = reading
  checkAge(incoming, envelope.id, options)
  const binding = entry.bind(envelope, parseJson(incoming))
  if (!binding.ok) throw unreadable(incoming, binding.reason, binding.problems)
  return binding.bound
}

/**
 * A topic carries facts for anybody: one that is of no use here is none of our business, so a new one breaks no consumer. A queue
 * carries what was sent to this consumer alone: acknowledged, it would be lost without anybody having done it.
 * @throws AppError `unknown-type` for what came out of a queue
 */
function passOver(incoming: IncomingMessage): undefined {
  switch (incoming.transport) {
    case 'kafka':
      return undefined
    case 'rabbitmq': {
      const type = typeFromHeaders(incoming.transport, incoming.headers)
      throw unreadable(incoming, 'unknown-type', [`nobody here handles ${type} in this style`])
    }
    default:
      return unreachable(incoming.transport)
  }
}

/** The handler of a message's type, whatever its version. */
function entryOf<T extends Tables>(
  incoming: IncomingMessage,
  consumer: Pick<Consumer<T>, 'handlers'>,
): HandlerEntry<T> | undefined {
  const type = typeFromHeaders(incoming.transport, incoming.headers)
  if (type === undefined) throw unreadable(incoming, 'poison', ['no type header'])
  const parsed = parseType(type)
  if (!parsed) throw unreadable(incoming, 'poison', [`the type ${type} has no version such as .v1`])
  return consumer.handlers.get(parsed.name)
}

function isOtherStyle<T extends Tables>(
  { transport, headers }: IncomingMessage,
  { coordination }: HandlerEntry<T>,
): boolean {
  if (coordination === undefined) return false
  return headers[`${headerPrefix[transport]}coordination`] === otherStyle[coordination]
}

// An id outside the inbox's partitions would fail the whole batch.
function checkAge<T extends Tables>(
  incoming: IncomingMessage,
  id: string,
  { now, inboxRetentionDays }: ReadingOptions<T>,
): void {
  const madeAt = timeOfUuidV7(id)
  if (madeAt > now.getTime() + aDayMs) {
    throw unreadable(incoming, 'poison', [`the id ${id} was made more than a day from now`])
  }
  const oldestDay = (Math.floor(now.getTime() / aDayMs) - inboxRetentionDays) * aDayMs
  // It may have been applied, and the inbox has forgotten it.
  if (madeAt < oldestDay) {
    throw unreadable(incoming, 'too-old', [`the id ${id} is older than the inbox remembers`])
  }
}

/** When a uuid v7 was made, in milliseconds since 1970: its first 48 bits. */
function timeOfUuidV7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

function parseJson(incoming: IncomingMessage): unknown {
  const { buffer, byteOffset, byteLength } = incoming.body
  try {
    return JSON.parse(Buffer.from(buffer, byteOffset, byteLength).toString('utf8'))
  } catch (error) {
    throw unreadable(incoming, 'poison', [`the body is not JSON: ${String(error)}`])
  }
}

function unreadable(
  incoming: IncomingMessage,
  code: 'poison' | 'unknown-type' | 'unknown-version' | 'too-old',
  problems: readonly string[],
): AppError {
  return new AppError(code, `cannot read ${incoming.position}: ${problems.join('; ')}`, {
    retry: 'permanent',
  })
}
