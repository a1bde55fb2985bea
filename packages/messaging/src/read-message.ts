import { isUtf8 } from 'node:buffer'
import {
  type Coordination,
  fromHeaders,
  headerPrefix,
  parseType,
  typeFromHeaders,
} from '@edp/event-schemas'
import { AppError, unreachable } from '@edp/runtime'
import { failureOf, type Failure, type UnreadableReason } from './failure.ts'
import type { BoundMessage, Consumer, HandlerEntry, Tables } from './handler.ts'
import { type InboxWindow, inboxIdOf, placeOf } from './inbox-id.ts'
import { type IncomingMessage, subjectOf } from './incoming-message.ts'

/** A message of a batch, with where it came from. */
interface Taken {
  readonly incoming: IncomingMessage
  /** What the inbox knows it by. */
  readonly inboxId: string
  /** What orders it; undefined when it may hold back no other message. */
  readonly key: string | undefined
}

/** A message that was read and bound to its handler. */
export interface ReadableMessage<T extends Tables> extends Taken {
  readonly message: BoundMessage<T>
  readonly failure?: undefined
}

/** A message that cannot be read, or not here and now. */
export interface UnreadableMessage extends Taken {
  readonly failure: Failure
}

export type TakenMessage<T extends Tables> = ReadableMessage<T> | UnreadableMessage

/** What became of the messages of a batch when they were read. */
export interface BatchReading<T extends Tables> {
  /** To be handled or parked, in the order in which they came. */
  readonly messages: readonly TakenMessage<T>[]
  /** Facts that are not for this consumer: of a type that it does not handle, or of the other style of saga. */
  readonly skipped: number
}

/** What reading depends on. */
export interface ReadingOptions<T extends Tables> extends InboxWindow {
  readonly consumer: Pick<Consumer<T>, 'handlers'>
  /** A longer body is not parsed. */
  readonly payloadBytesMax: number
}

const otherStyle = {
  choreographed: 'orchestrated',
  orchestrated: 'choreographed',
} as const satisfies Record<Coordination, Coordination>

/** Step 1 of a batch: skips what the consumer does not handle, by headers alone, and reads the rest. */
export function readBatch<T extends Tables>(
  batch: readonly IncomingMessage[],
  options: ReadingOptions<T>,
): BatchReading<T> {
  const messages: TakenMessage<T>[] = []
  let skipped = 0
  for (const incoming of batch) {
    const message = takeMessage(incoming, options)
    if (message) messages.push(message)
    else skipped += 1
  }
  return { messages, skipped }
}

function takeMessage<T extends Tables>(
  incoming: IncomingMessage,
  options: ReadingOptions<T>,
): TakenMessage<T> | undefined {
  try {
    const message = readMessage(incoming, options, options)
    if (message === undefined) return passOver(incoming)
    const { id, subject } = message.envelope
    // Postgres answers in lower case, and what does not come back from the inbox is a duplicate.
    return { incoming, inboxId: id.toLowerCase(), key: subject, message }
  } catch (error) {
    const failure = failureOf(error)
    // Nobody waits for what may have been applied days ago.
    const key = failure.reason === 'too-old' ? undefined : subjectOf(incoming)
    return { incoming, inboxId: inboxIdOf(incoming, options), key, failure }
  }
}

/**
 * Reads a message, of any age when no `window` is given. Undefined when the consumer does not handle its type or style.
 * @throws AppError `permanent` when it cannot be read here, with the reason as its code
 */
export function readMessage<T extends Tables>(
  incoming: IncomingMessage,
  { consumer, payloadBytesMax }: Pick<ReadingOptions<T>, 'consumer' | 'payloadBytesMax'>,
  window?: InboxWindow,
): BoundMessage<T> | undefined {
  const entry = entryOf(incoming, consumer)
  if (entry === undefined || isOtherStyle(incoming, entry)) return undefined
  const reading = fromHeaders(incoming.transport, incoming.headers)
  if (!reading.ok) throw unreadable(incoming, 'poison', reading.problems)
  // Before the body: whatever else is wrong with it, it may have been applied already.
  if (window) checkAge(incoming, reading.envelope.id, window)
  const binding = entry.bind(reading.envelope, parseJson(incoming, payloadBytesMax))
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
    case 'rabbitmq':
      throw notHandled(incoming)
    default:
      return unreachable(incoming.transport)
  }
}

/** What a message is that its consumer does not handle, and that was not skipped. */
export function notHandled(incoming: IncomingMessage): AppError {
  const type = typeFromHeaders(incoming.transport, incoming.headers)
  return unreadable(incoming, 'unknown-type', [`nobody here handles ${type} in this style`])
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

function checkAge(incoming: IncomingMessage, id: string, window: InboxWindow): void {
  const place = placeOf(id, window)
  switch (place) {
    case 'inside':
      return
    case 'too-new':
      throw unreadable(incoming, 'poison', [`the id ${id} was made more than a day from now`])
    case 'too-old':
      // It may have been applied, and the inbox has forgotten it.
      throw unreadable(incoming, 'too-old', [`the id ${id} is older than the inbox remembers`])
    default:
      unreachable(place)
  }
}

function parseJson(incoming: IncomingMessage, payloadBytesMax: number): unknown {
  const { buffer, byteOffset, byteLength } = incoming.body
  if (byteLength > payloadBytesMax) {
    const problem = `the body has ${byteLength} bytes, more than ${payloadBytesMax}`
    throw unreadable(incoming, 'poison', [problem])
  }
  const bytes = Buffer.from(buffer, byteOffset, byteLength)
  // Decoded all the same, each broken character would be another one than was sent.
  if (!isUtf8(bytes)) throw unreadable(incoming, 'poison', ['the body is not UTF-8'])
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw unreadable(incoming, 'poison', [`the body is not JSON: ${String(error)}`])
  }
}

function unreadable(
  incoming: IncomingMessage,
  code: UnreadableReason,
  problems: readonly string[],
): AppError {
  return new AppError(code, `cannot read ${incoming.position}: ${problems.join('; ')}`, {
    retry: 'permanent',
  })
}
