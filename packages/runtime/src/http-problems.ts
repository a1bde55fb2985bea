import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { classify } from './errors.ts'

/** One thing that is wrong with a request: where (`body.lines.0.quantity`) and what. */
const problemErrorSchema = z.strictObject({ path: z.string(), message: z.string() })
type ProblemError = z.infer<typeof problemErrorSchema>

/** The body of every error answer: RFC 9457 problem details. Declare it in a route's `response`. */
export const problemSchema = z
  .strictObject({
    type: z.string().describe('a URN that names the kind of problem'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().describe('the path that was asked for'),
    errors: z.array(problemErrorSchema).optional(),
  })
  .describe('RFC 9457 problem details')

/** What a route may add to a problem. */
export type ProblemExtra = {
  title?: string
  headers?: Readonly<Record<string, string>>
  errors?: readonly ProblemError[]
}

/** An answer that is an error and expected: a route throws it, the client sees all of it. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly code: string
  readonly extra: ProblemExtra

  constructor(status: number, code: string, detail: string, extra: ProblemExtra = {}) {
    super(detail)
    this.status = status
    this.code = code
    this.extra = extra
  }
}

/** `throw problem(409, 'already-shipped', 'The order has left the warehouse.')` */
export function problem(
  status: number,
  code: string,
  detail: string,
  extra: ProblemExtra = {},
): Problem {
  return new Problem(status, code, detail, extra)
}

/**
 * Refuses a header, named in small letters, that comes more than once: Node joins two to `a, b`, which nobody has sent.
 * @throws Problem 400
 */
export function refuseRepeated(request: FastifyRequest, header: string): void {
  const times = request.raw.headersDistinct[header]?.length ?? 0
  if (times <= 1) return
  const message = `expected the header once, found it ${times} times`
  throw invalidRequest([{ path: `headers.${header}`, message }])
}

/** Answers any error as a problem. What is not the client's fault is logged and not shown. */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const answer = toProblem(error)
  if (answer.status >= 500 && !(error instanceof Problem)) {
    request.log.error({ err: error, method: request.method, url: request.url }, 'request failed')
  }
  const { status, code, message, extra } = answer
  const [instance = request.url] = request.url.split('?', 1)
  const body: z.input<typeof problemSchema> = {
    type: `urn:problem:${code}`,
    title: extra.title ?? STATUS_CODES[status] ?? 'Error',
    status,
    detail: message,
    instance,
    ...(extra.errors && { errors: [...extra.errors] }),
  }
  void reply
    .code(status)
    .headers({ ...extra.headers })
    .type('application/problem+json')
    .serializer(JSON.stringify)
    .send(body)
}

/** What Node's parser refuses before there is a request. */
const brokenRequests: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: problem(
    431,
    'headers-too-large',
    'The headers of the request are too large.',
  ),
  ERR_HTTP_REQUEST_TIMEOUT: problem(408, 'request-timeout', 'The request took too long to arrive.'),
}
const malformed = problem(400, 'malformed-request', 'This is not a well-formed HTTP request.')

/** Answers a connection whose bytes are no request that Fastify could get, and closes it. */
export function answerBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const { status, code, message } = brokenRequests[error.code ?? ''] ?? malformed
  const title = STATUS_CODES[status] ?? 'Error'
  const type = `urn:problem:${code}`
  // No path: it may be what could not be read.
  const body = JSON.stringify({ type, title, status, detail: message, instance: '' })
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\ncontent-type: application/problem+json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

/** Answers a route that does not exist. */
export function answerNotFound(request: FastifyRequest, reply: FastifyReply): void {
  const detail = `There is no ${request.method} ${request.url.split('?', 1)[0]}.`
  answerError(problem(404, 'not-found', detail), request, reply)
}

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (hasZodFastifySchemaValidationErrors(error)) {
    return invalidRequest(error.validation.flatMap((one) => issuesOf(error.validationContext, one)))
  }
  const status = statusOf(error)
  if (error instanceof Error && status >= 400 && status < 500) {
    const isOtherType = status === 415
    const detail = isOtherType ? 'A body is JSON, of type application/json.' : error.message
    return problem(status, codeOf(error, status), detail)
  }
  if (status === 503) return unavailable
  // The database or a broker is away and nothing happened: the client may send the same again.
  if (classify(error) === 'transient-everything') return unavailable
  return problem(500, 'internal', 'The server failed to answer. The failure is logged.')
}

function invalidRequest(errors: readonly ProblemError[]): Problem {
  return problem(400, 'invalid-request', 'The request does not fit the schema.', { errors })
}

const unavailable = problem(503, 'unavailable', 'The service cannot answer now. Try again.', {
  headers: { 'retry-after': '1' },
})

type ZodIssue = { instancePath: string; message?: string; params: Record<string, unknown> }

function issuesOf(
  context: string | undefined,
  issue: ZodIssue,
): { path: string; message: string }[] {
  const part = context === 'querystring' ? 'query' : (context ?? 'request')
  const base = [part, ...issue.instancePath.split('/').filter((key) => key !== '')].join('.')
  const unknownKeys = issue.params['keys']
  if (Array.isArray(unknownKeys)) {
    return unknownKeys.map((key) => ({ path: `${base}.${key}`, message: 'is not known' }))
  }
  return [{ path: base, message: issue.message ?? 'is not valid' }]
}

function statusOf(error: unknown): number {
  return isFastifyError(error) ? (error.statusCode ?? 500) : 500
}

function isFastifyError(error: unknown): error is FastifyError {
  return error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
}

// FST_ERR_CTP_INVALID_JSON_BODY → invalid-json-body
function codeOf(error: Error, status: number): string {
  if (isFastifyError(error) && error.code.startsWith('FST_ERR_')) {
    return error.code
      .replace(/^FST_ERR_(CTP_)?/, '')
      .toLowerCase()
      .replaceAll('_', '-')
  }
  return (STATUS_CODES[status] ?? 'error').toLowerCase().replaceAll(' ', '-')
}
