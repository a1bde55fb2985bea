import type { z } from 'zod'

/** An answer with another status than was expected. */
export class UnexpectedAnswer extends Error {
  readonly status: number

  constructor(what: string, status: number, body: string) {
    super(`${what} was answered with ${status}: ${body}`)
    this.name = 'UnexpectedAnswer'
    this.status = status
  }
}

/** @throws UnexpectedAnswer for every status that is no success, z.ZodError for an answer of another shape */
export async function request<Answer>(
  schema: z.ZodType<Answer>,
  method: string,
  url: string,
  options: RequestOptions = {},
): Promise<Answer> {
  return schema.parse((await send(method, url, options)).body)
}

interface RequestOptions {
  body?: unknown
  headers?: Record<string, string>
}

/** @throws UnexpectedAnswer for every status that is no success */
export async function send(
  method: string,
  url: string,
  options: RequestOptions = {},
): Promise<{ headers: Headers; body: unknown }> {
  const hasBody = options.body !== undefined
  const response = await fetch(url, {
    method,
    headers: { ...(hasBody && { 'content-type': 'application/json' }), ...options.headers },
    ...(hasBody && { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  if (!response.ok) throw new UnexpectedAnswer(`${method} ${url}`, response.status, text)
  return { headers: response.headers, body: JSON.parse(text) }
}
