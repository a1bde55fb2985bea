import {
  contracts,
  fromHeaders,
  headerPrefix,
  parseType,
  readBody,
  typeFromHeaders,
} from '@edp/event-schemas'
import type { FuzzMessage } from './fuzz-message.ts'
import type { ConsumerView } from './ways-in.ts'

/** What a consumer has to make of a message: take it, refuse it with a letter, or leave it to others. */
export type Reading = 'taken' | 'refused' | 'skipped'

/** The id by which the envelope calls a message, if there is one, in Postgres' spelling. */
export function idOf(message: FuzzMessage): string | undefined {
  return headersOf(message)[`${headerPrefix[message.wayIn.transport]}id`]?.toLowerCase()
}

/** The type without its version. */
export function typeNameOf(message: FuzzMessage): string | undefined {
  const type = typeFromHeaders(message.wayIn.transport, headersOf(message))
  return type === undefined ? undefined : parseType(type)?.name
}

/** What the contracts say of a message, independently of the consumer's own reading. */
export function readingOf(message: FuzzMessage, consumer: ConsumerView): Reading {
  const { transport } = message.wayIn
  const headers = headersOf(message)
  const name = typeNameOf(message)
  if (name === undefined) return 'refused'
  const notMine = transport === 'kafka' ? 'skipped' : 'refused'
  const style = Object.hasOwn(consumer.handles, name) ? consumer.handles[name] : undefined
  if (style === undefined) return notMine
  const said = headers[`${headerPrefix[transport]}coordination`]
  const isStyle = said === 'choreographed' || said === 'orchestrated'
  if (style !== 'both' && isStyle && said !== style) return notMine
  const envelope = fromHeaders(transport, headers)
  if (!envelope.ok) return 'refused'
  return fits(message, consumer, { name, type: envelope.envelope.type }) ? 'taken' : 'refused'
}

function fits(
  { body }: FuzzMessage,
  { bodyBytesMax }: ConsumerView,
  { name, type }: { name: string; type: string },
): boolean {
  const contract = contracts.find((one) => one.name === name)
  const bytes = body ?? Buffer.alloc(0)
  if (contract === undefined || bytes.byteLength > bodyBytesMax) return false
  try {
    return readBody(contract, type, JSON.parse(bytes.toString('utf8'))).ok
  } catch {
    return false
  }
}

/** The headers as they arrive: text, of several the last; RabbitMQ's other types are none of a message's. */
function headersOf({ wayIn, headers }: FuzzMessage): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, sent] of Object.entries(headers)) {
    const value = wayIn.transport === 'kafka' && Array.isArray(sent) ? sent.at(-1) : sent
    if (typeof value === 'string') {
      if (wayIn.transport === 'kafka' || !name.startsWith('x-')) texts[name] = value.toWellFormed()
    } else if (wayIn.transport === 'kafka' && Buffer.isBuffer(value)) {
      texts[name] = value.toString('utf8')
    }
  }
  return texts
}
