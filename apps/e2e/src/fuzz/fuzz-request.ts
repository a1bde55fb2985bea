import type { FuzzData } from './fuzz-data.ts'
import { mutateJson, mutateText } from './mutations.ts'
import { type KnownValues, type Operation, sample, sampleText } from './openapi.ts'

/** A request as it goes over the wire. */
export interface FuzzRequest {
  readonly method: string
  /** With its query, escaped as a client would, or not. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer | undefined
  readonly documentedFailures: ReadonlySet<number>
}

interface Context {
  readonly data: FuzzData
  readonly known: KnownValues
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const
const contentTypes = [
  'text/plain',
  'application/xml',
  'application/json; charset=utf-16',
  'multipart/form-data',
  '',
] as const
const none: ReadonlySet<number> = new Set()
const bodyBytesMax = 300 * 1024

/** A request of one of the routes: right, nearly right, or nothing like it; or of a route that is none. */
export function fuzzRequest(
  operations: readonly [Operation, ...Operation[]],
  context: Context,
): FuzzRequest {
  const { data } = context
  const operation = data.pick(operations)
  const strayed = data.chance(0.05)
  return {
    method: strayed ? data.pick(methods) : operation.method,
    path: `${pathOf(operation, context)}${queryOf(operation, context)}`,
    ...contentOf(operation, context),
    // Of another method nothing is documented.
    documentedFailures: strayed ? none : operation.documentedFailures,
  }
}

function pathOf({ path, parameters }: Operation, { data, known }: Context): string {
  if (data.chance(0.03)) return `/${rawPath(data)}`
  const filled = path.replaceAll(/\{(.+?)\}/g, (_, name: string) => {
    const { schema = {} } = parameters.find((one) => one.name === name) ?? {}
    if (data.chance(0.2)) return rawPath(data)
    return encodeURIComponent(wellFormed(sampleText(schema, { data, known, name })))
  })
  return data.chance(0.02) ? `${filled}/` : filled
}

/** A piece of a path: escaped text, escapes that are none, bytes that are no text. */
function rawPath(data: FuzzData): string {
  if (data.chance(0.5)) return encodeURIComponent(wellFormed(data.text())).slice(0, 2000)
  return data.pick(['%', '%zz', '%ff', '%c0%af', '%00', '..', '%2e%2e%2f', '//', '%F0%9F', ';a=b'])
}

function queryOf({ parameters }: Operation, { data, known }: Context): string {
  const pairs = parameters
    .filter((one) => one.in === 'query' && data.chance(0.4))
    .map(({ name, schema = {} }) => {
      const value = data.chance(0.3) ? data.text() : sampleText(schema, { data, known, name })
      return `${name}=${encodeURIComponent(wellFormed(value))}`
    })
  if (data.chance(0.05)) pairs.push(`${encodeURIComponent(wellFormed(data.text()))}=1`)
  if (data.chance(0.05)) pairs.push(...pairs)
  if (data.chance(0.03)) pairs.push('a=%ff', '%', '=', 'limit[]=1')
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`
}

function contentOf(
  operation: Operation,
  context: Context,
): { headers: Record<string, string>; body: Buffer | undefined } {
  const { data } = context
  const headers = headersOf(operation, context)
  const hasBody = operation.body === undefined ? data.chance(0.1) : data.chance(0.95)
  if (!hasBody || operation.method === 'GET') return { headers, body: undefined }
  const contentType = data.chance(0.95) ? 'application/json' : data.pick(contentTypes)
  return { headers: { ...headers, 'content-type': contentType }, body: bodyOf(operation, context) }
}

function bodyOf({ body = {} }: Operation, { data, known }: Context): Buffer {
  if (data.chance(0.05)) return data.bytes(data.int(2000))
  if (data.chance(0.01)) return Buffer.alloc(bodyBytesMax, '[')
  if (data.chance(0.1)) return Buffer.from(JSON.stringify(data.json()))
  let value = sample(body, { data, known })
  while (data.chance(0.5)) value = mutateJson(value, data)
  return mutateText(JSON.stringify(value), data)
}

function headersOf({ parameters }: Operation, { data, known }: Context): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const { name, schema = {}, in: place } of parameters) {
    if (place !== 'header' || data.chance(0.05)) continue
    // A key of its own for each request, or else all but the first are replays.
    const value = name === 'idempotency-key' ? data.uuidV7() : sampleText(schema, { data, known })
    headers[name] = headerText(data.chance(0.1) ? data.text() : value)
  }
  if (data.chance(0.1)) headers['traceparent'] = headerText(data.text())
  if (data.chance(0.05)) headers['accept'] = headerText(data.text())
  return headers
}

// What no client can send is no request: line breaks, and characters beyond Latin-1.
function headerText(text: string): string {
  return text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '').slice(0, 4000)
}

/** Half a surrogate pair cannot be escaped. */
function wellFormed(text: string): string {
  return text.toWellFormed()
}
