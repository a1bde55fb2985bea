import { connect } from 'node:net'
import { once } from 'node:events'
import { Pool } from 'undici'
import { type FuzzData, fuzzData } from './fuzz-data.ts'
import { type FuzzRequest, fuzzRequest } from './fuzz-request.ts'
import { type KnownValues, readOperations } from './openapi.ts'

export interface HttpFuzzOptions {
  readonly name: string
  readonly url: string
  readonly requests: number
  readonly seed: number
  readonly known: KnownValues
}

/** What a service answered: how often which status, and what it should not have. */
export interface HttpFuzzResult {
  readonly name: string
  readonly statuses: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

const concurrentRequests = 16
const answerTimeoutMs = 30_000
const problemsMax = 10
const brokenConnections = 20
const patienceMs = 500

/**
 * Sends requests of all kinds to every route of a service. Every answer has to be below 500, but for what the route documents, and
 * every refusal a problem.
 */
export async function fuzzHttp(options: HttpFuzzOptions): Promise<HttpFuzzResult> {
  const { name, url, requests, seed, known } = options
  const [first, ...others] = await readOperations(url)
  if (!first) return { name, statuses: {}, problems: [] }
  const data = fuzzData(seed)
  const pool = new Pool(url, { connections: concurrentRequests, pipelining: 1 })
  const statuses: Record<string, number> = {}
  const problems: string[] = []
  let left = requests
  const work = async (): Promise<void> => {
    while (left > 0 && problems.length < problemsMax) {
      left -= 1
      const request = fuzzRequest([first, ...others], { data, known })
      const { status, problem } = await ask(pool, request)
      statuses[status] = (statuses[status] ?? 0) + 1
      if (problem !== undefined) problems.push(`${name}: ${problem}\n  ${describe(request)}`)
    }
  }
  try {
    await Promise.all(Array.from({ length: concurrentRequests }, work))
  } finally {
    await pool.close()
  }
  await Promise.all(Array.from({ length: brokenConnections }, () => sendGarbage(url, data)))
  return { name, statuses, problems }
}

async function ask(
  pool: Pool,
  request: FuzzRequest,
): Promise<{ status: string; problem: string | undefined }> {
  const { method, path, headers, body, documentedFailures } = request
  try {
    const answer = await pool.request({
      method,
      path,
      headers,
      ...(body && { body }),
      headersTimeout: answerTimeoutMs,
      bodyTimeout: answerTimeoutMs,
    })
    const text = await answer.body.text()
    const { statusCode } = answer
    const status = String(statusCode)
    if (statusCode >= 500 && !documentedFailures.has(statusCode)) {
      return { status, problem: `answered with ${status}: ${text}` }
    }
    const isProblem = String(answer.headers['content-type']).startsWith('application/problem+json')
    // The provider's own refusal of a card is no problem of ours.
    if (statusCode >= 400 && statusCode !== 402 && !isProblem && method !== 'HEAD') {
      return { status, problem: `answered with ${status} that is no problem+json: ${text}` }
    }
    return { status, problem: undefined }
  } catch (error) {
    // A request that is larger than allowed may be answered, and its connection closed, while it is still being sent.
    const cut = body !== undefined && body.length > 64 * 1024
    const problem = cut ? undefined : `was not answered: ${String(error)}`
    return { status: cut ? 'cut off' : 'none', problem }
  }
}

/** Bytes that are no request, from a client that hangs up when it is not answered soon: nothing else happens. */
async function sendGarbage(url: string, data: FuzzData): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  // Closed while we write: that is one way to answer.
  socket.on('error', () => undefined)
  socket.resume()
  socket.setTimeout(patienceMs, () => socket.destroy())
  const closed = once(socket, 'close')
  const start = data.chance(0.5) ? 'POST /orders HTTP/1.1\r\nhost: x\r\n' : ''
  socket.end(Buffer.concat([Buffer.from(start), data.bytes(1 + data.int(500))]))
  await closed
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  const shown = body && body.length > 1000 ? `${body.length} bytes` : body?.toString('utf8')
  return `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(shown ?? null)}`
}
