import { isUtf8 } from 'node:buffer'
import { deadLetterBodyBytesMax } from '@edp/event-schemas'
import type { Content } from './domain/fact.ts'

/** Text that Postgres can store: it knows no NUL. */
export function storable(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text
}

/** The bytes of a message and its headers, whatever they are. `bytesMax`: how much of the body is kept. */
export function contentOf(
  headers: Readonly<Record<string, string | undefined>>,
  body: Uint8Array,
  bytesMax = deadLetterBodyBytesMax,
): Content {
  const kept = Buffer.from(body.buffer, body.byteOffset, Math.min(body.byteLength, bytesMax))
  const isText = isUtf8(kept) && !kept.includes(0)
  const encoding = isText ? 'utf8' : 'base64'
  return {
    headers: textsOf(headers),
    body: kept.toString(encoding),
    encoding,
    bytes: body.byteLength,
  }
}

function textsOf(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) texts[name] = value
  }
  return texts
}

/** Of a delivery and not of the message: they differ when it is delivered again. */
const deliveryHeaders = new Set(['x-delivery-count', 'x-acquired-count'])

/** The headers of a message as one text, the same whenever it is delivered. */
export function stableHeaders(headers: Readonly<Record<string, string | undefined>>): string {
  const entries = Object.entries(headers).filter(([name]) => !deliveryHeaders.has(name))
  return JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
