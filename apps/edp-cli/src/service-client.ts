import type { z } from 'zod'
import { CommandFailed, describeProblem, problem } from './failures.ts'
import { type ServiceName, services } from './services.ts'

const answerTimeoutMs = 20_000

/** What a request carries beside its method and path. What is undefined is left out. */
export interface RequestParts {
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** What a service answered. */
export interface Answer<Body> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
  /** As it came, with the fields that the command does not know. */
  readonly document: unknown
}

/** One service, asked over HTTP. */
export interface ServiceClient {
  /**
   * Sends a request and reads the answer.
   * @throws CommandFailed for every answer that is no success, with its problem; when nothing answers within 20 s; when the
   * answer is not what the command expects
   */
  request<Body>(
    schema: z.ZodType<Body>,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    parts?: RequestParts,
  ): Promise<Answer<Body>>
}

/** A path whose values are escaped: an id that somebody types may hold anything. */
export function pathOf(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)))
}

/** A client of the service at `url`. */
export function createServiceClient(service: ServiceName, url: string): ServiceClient {
  return {
    request: async (schema, method, path, parts = {}) => {
      const target = targetOf(url, path, parts)
      const response = await send(service, target, method, parts)
      const document = parseJson(await response.text())
      if (!response.ok) throw refusal(`${method} ${target.href}`, response.status, document)
      const reading = schema.safeParse(document)
      if (!reading.success) {
        const [issue] = reading.error.issues
        throw new CommandFailed(
          `${method} ${target.href} was answered with something else than expected: ` +
            `${issue?.path.join('.')}: ${issue?.message}`,
        )
      }
      const { status, headers } = response
      return { status, headers, body: reading.data, document }
    },
  }
}

function targetOf(url: string, path: string, { query = {} }: RequestParts): URL {
  // With its path: a service may lie behind a prefix.
  const target = new URL(url.replace(/\/+$/, '') + path)
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) target.searchParams.set(name, String(value))
  }
  return target
}

async function send(
  service: ServiceName,
  target: URL,
  method: string,
  { headers, body }: RequestParts,
): Promise<Response> {
  const hasBody = body !== undefined
  try {
    return await fetch(target, {
      method,
      headers: { ...(hasBody && { 'content-type': 'application/json' }), ...headers },
      ...(hasBody && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(answerTimeoutMs),
    })
  } catch (error) {
    throw new CommandFailed(
      `${service} does not answer at ${target.origin}: ${reasonOf(error)}\n` +
        `Is it running (\`npx pnpm@12 turbo dev\`)? --url or ${services[service].setting} names another place.`,
    )
  }
}

/** fetch says only that it failed; why is in the cause, and in the first of several where a name has several addresses. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (cause instanceof AggregateError && cause.errors[0] instanceof Error) {
    return cause.errors[0].message
  }
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message
}

function refusal(what: string, status: number, document: unknown): CommandFailed {
  const said = problem.safeParse(document)
  if (said.success) return new CommandFailed(describeProblem(said.data), said.data)
  return new CommandFailed(`${what} was answered with ${status}`)
}

/** The document; the text itself where it is none. */
function parseJson(body: string): unknown {
  try {
    return body === '' ? undefined : JSON.parse(body)
  } catch {
    return body
  }
}
