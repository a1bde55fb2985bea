import { AppError } from '@edp/runtime'
import type { IHeaders } from 'kafkajs'

/** The part of kafkajs' encoder that writes a record. */
export interface RecordEncoder {
  buf: Buffer
  offset: number
  ensureAvailable(bytes: number): void
  writeVarInt(value: number): unknown
  writeVarIntText(text: string): unknown
}

/** What infra/patches/kafkajs@2.2.4.patch asks headers for: that they write themselves. */
const writeHeaders = Symbol.for('kafkajs.writeHeaders')

/**
 * The headers of a message given as JSON, an object of strings, as kafkajs takes them. They are turned into Kafka's format
 * without an object and its strings in between, which cost more than reading the row from Postgres (measured).
 */
export function jsonHeaders(json: string): IHeaders {
  return new JsonHeaders(json)
}

// A class, since an object with a computed name costs as much as half of the work.
class JsonHeaders {
  // No name that kafkajs may take for a header is ever looked at, but its type wants one.
  readonly [name: string]: string
  readonly #json: string

  constructor(json: string) {
    this.#json = json
  }

  [writeHeaders](encoder: RecordEncoder): void {
    writeJsonHeaders(encoder, this.#json)
  }
}

/** Writes the number of headers and then each. */
export function writeJsonHeaders(encoder: RecordEncoder, json: string): void {
  encoder.ensureAvailable(json.length)
  const end = transcode(json, encoder.buf, encoder.offset)
  if (end === unusual) writeParsed(encoder, json)
  else encoder.offset = end
}

const unusual = -1
const quote = 0x22
const asciiMax = 0x7f
const countMax = 63
const lengthMax = 8191

/**
 * From `{"name":"value",…}` to count, length, name, length, value, … in one pass, if it is ASCII without escapes and blanks, as
 * `JSON.stringify` writes our headers; `unusual` if not. The result is never longer than the JSON: a length takes two bytes
 * at most, and each text has three characters around it.
 */
function transcode(json: string, target: Buffer, start: number): number {
  const last = json.length - 2
  if (!json.startsWith('{"') || !json.endsWith('"}') || json.includes('\\')) return unusual
  let at = start + 1
  let from = 2
  let parts = 0
  for (;;) {
    const to = json.indexOf('"', from)
    at = writeText(json, { from, to }, target, at)
    if (at === unusual) return unusual
    parts += 1
    if (to === last) break
    // A name is followed by `":"`, a value by `","`.
    const isName = parts % 2 === 1
    if (json[to + 1] !== (isName ? ':' : ',') || json.charCodeAt(to + 2) !== quote) return unusual
    from = to + 3
  }
  if (parts % 2 === 1 || parts > countMax * 2) return unusual
  // Varints are zigzag: the number of headers is written as twice that, which is the number of parts.
  target[start] = parts
  return at
}

function writeText(
  json: string,
  { from, to }: { from: number; to: number },
  target: Buffer,
  start: number,
): number {
  const length = to - from
  if (length > lengthMax) return unusual
  let at = start
  const zigzag = length * 2
  if (zigzag <= asciiMax) {
    target[at++] = zigzag
  } else {
    target[at++] = (zigzag & 0x7f) | 0x80
    target[at++] = zigzag >>> 7
  }
  let seen = 0
  for (let index = from; index < to; index += 1) {
    const code = json.charCodeAt(index)
    seen |= code
    target[at++] = code
  }
  return seen > asciiMax ? unusual : at
}

/** The code of what no broker would refuse, since it cannot even be sent. */
export const cannotEncode = 'cannot-encode'

const text = String.raw`"[^"\\]*(?:\\.[^"\\]*)*"`
const pair = String.raw`${text}\s*:\s*${text}\s*`
const objectOfTexts = new RegExp(String.raw`^\s*\{\s*(?:${pair}(?:,\s*${pair})*)?\}\s*$`)
const texts = new RegExp(text, 'g')

/**
 * Names and values are parsed one by one and not as an object: `JSON.parse` of Node 24 and 26 takes an escaped name for one with
 * a backslash that it has seen before (nodejs/node#63785).
 */
function writeParsed(encoder: RecordEncoder, json: string): void {
  if (!objectOfTexts.test(json)) {
    throw new AppError(cannotEncode, 'the headers are no object of strings', {
      retry: 'permanent',
    })
  }
  const namesAndValues = json.match(texts) ?? []
  encoder.writeVarInt(namesAndValues.length / 2)
  for (const one of namesAndValues) encoder.writeVarIntText(String(JSON.parse(one)))
}
