import { envelope, type Envelope } from './envelope.ts'

/** CloudEvents in binary mode: each attribute is a header, the body is the data alone. */
export const headerPrefix = { kafka: 'ce_', rabbitmq: 'cloudEvents_' } as const
export type Transport = keyof typeof headerPrefix

const contentType = 'content-type'

/** The name of an attribute's header. The content type is the transport's own. */
export function headerOf(transport: Transport, attribute: string): string {
  return attribute === 'datacontenttype' ? contentType : headerPrefix[transport] + attribute
}

/** The headers of a message on one transport. All values are strings, absent attributes are left out. */
export function toHeaders(transport: Transport, attributes: Envelope): Record<string, string> {
  const headers: Record<string, string> = { [headerOf(transport, 'specversion')]: '1.0' }
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) headers[headerOf(transport, name)] = String(value)
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
  const prefix = headerPrefix[transport]
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined) continue
    if (name.startsWith(prefix)) attributes[name.slice(prefix.length)] = value
    else if (name === contentType) attributes['datacontenttype'] = value
  }
  const reading = envelope.safeParse(attributes)
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
