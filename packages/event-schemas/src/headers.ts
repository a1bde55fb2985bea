import { envelope, type Envelope } from './envelope.ts'

/** CloudEvents in binary mode: each attribute is a header, the body is the data alone. */
export const headerPrefix = { kafka: 'ce_', rabbitmq: 'cloudEvents_' } as const
export type Transport = keyof typeof headerPrefix

// Made once: every message is written and read by this table.
const attributes = envelope.keyof().options
const headersOf = { kafka: headerTable('kafka'), rabbitmq: headerTable('rabbitmq') }

function headerTable(transport: Transport): readonly (readonly [keyof Envelope, string])[] {
  return attributes.map((attribute) => [attribute, headerOf(transport, attribute)])
}

/** The name of an attribute's header. The content type is the transport's own. */
export function headerOf(transport: Transport, attribute: string): string {
  return attribute === 'datacontenttype' ? 'content-type' : headerPrefix[transport] + attribute
}

/** The headers of a message on one transport. All values are strings, absent attributes are left out. */
export function toHeaders(transport: Transport, attributesOf: Envelope): Record<string, string> {
  const headers: Record<string, string> = { [`${headerPrefix[transport]}specversion`]: '1.0' }
  for (const [attribute, header] of headersOf[transport]) {
    const value = attributesOf[attribute]
    if (value !== undefined) headers[header] = String(value)
  }
  return headers
}

/** What came of reading the headers of a message: its envelope, or every problem with it. */
export type EnvelopeReading =
  | { readonly ok: true; readonly envelope: Envelope }
  | { readonly ok: false; readonly problems: string[] }

/** Reads the envelope from the headers of a message. Headers that are not ours are ignored. */
export function fromHeaders(
  transport: Transport,
  headers: Readonly<Record<string, string | undefined>>,
): EnvelopeReading {
  const read: Partial<Record<keyof Envelope, string>> = {}
  for (const [attribute, header] of headersOf[transport]) {
    const value = headers[header]
    if (value !== undefined) read[attribute] = value
  }
  const reading = envelope.safeParse(read)
  if (reading.success) return { ok: true, envelope: reading.data }
  return {
    ok: false,
    problems: reading.error.issues.map(
      (issue) => `header ${headerOf(transport, issue.path.join('.'))}: ${issue.message}`,
    ),
  }
}

/** The type of a message from its headers alone, so that what a consumer does not handle is never parsed. */
export function typeFromHeaders(
  transport: Transport,
  headers: Readonly<Record<string, string | undefined>>,
): string | undefined {
  return headers[`${headerPrefix[transport]}type`]
}
