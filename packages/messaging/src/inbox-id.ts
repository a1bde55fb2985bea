import { createHash } from 'node:crypto'
import { headerPrefix } from '@edp/event-schemas'
import { unreachable } from '@edp/runtime'
import type { IncomingMessage } from './incoming-message.ts'

/** The time for which the inbox has partitions: an id outside of it would fail its whole batch. */
export interface InboxWindow {
  readonly now: Date
  /** How far back the inbox has partitions. */
  readonly inboxRetentionDays: number
}

const aDayMs = 24 * 60 * 60 * 1000
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** Where an id lies: the inbox knows it, or has forgotten it, or could not keep it. */
export function placeOf(id: string, window: InboxWindow): 'inside' | 'too-old' | 'too-new' {
  return placeOfTime(timeOfUuidV7(id), window)
}

/**
 * What the inbox knows a message by: its id in Postgres' spelling, and where that cannot be used one derived from where it lies
 * (Kafka) or from what it is (RabbitMQ), so that a redelivery is a duplicate.
 */
export function inboxIdOf(message: IncomingMessage, window: InboxWindow): string {
  const id = message.headers[`${headerPrefix[message.transport]}id`]
  if (id !== undefined && uuidV7.test(id) && placeOf(id, window) === 'inside') {
    return id.toLowerCase()
  }
  return derivedId(message, window)
}

function derivedId(message: IncomingMessage, window: InboxWindow): string {
  const hash = createHash('sha256')
  for (const part of identity(message)) hash.update(part)
  const random = hash.digest('hex')
  const time = derivedTimeMs(message, window).toString(16).padStart(12, '0')
  const variant = '89ab'[Number.parseInt(random.slice(3, 4), 16) & 3]
  return [
    time.slice(0, 8),
    time.slice(8),
    `7${random.slice(0, 3)}`,
    `${variant}${random.slice(4, 7)}`,
    random.slice(7, 19),
  ].join('-')
}

/** When the broker took it, else the beginning of the day: a time that a redelivery has too. */
function derivedTimeMs({ recordedAtMs }: IncomingMessage, window: InboxWindow): number {
  if (
    Number.isInteger(recordedAtMs) &&
    recordedAtMs !== undefined &&
    placeOfTime(recordedAtMs, window) === 'inside'
  ) {
    return recordedAtMs
  }
  return Math.floor(window.now.getTime() / aDayMs) * aDayMs
}

function identity({
  transport,
  position,
  headers,
  body,
}: IncomingMessage): (string | Uint8Array)[] {
  switch (transport) {
    case 'kafka':
      return [position]
    case 'rabbitmq': {
      const queue = position.slice(0, position.indexOf('@') + 1)
      const sorted = Object.entries(headers).toSorted(([a], [b]) => (a < b ? -1 : 1))
      return [queue, JSON.stringify(sorted), body]
    }
    default:
      return unreachable(transport)
  }
}

function placeOfTime(
  madeAtMs: number,
  { now, inboxRetentionDays }: InboxWindow,
): 'inside' | 'too-old' | 'too-new' {
  if (madeAtMs > now.getTime() + aDayMs) return 'too-new'
  const oldestDay = (Math.floor(now.getTime() / aDayMs) - inboxRetentionDays) * aDayMs
  return madeAtMs < oldestDay ? 'too-old' : 'inside'
}

/** When a uuid v7 was made, in milliseconds since 1970: its first 48 bits. */
function timeOfUuidV7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}
