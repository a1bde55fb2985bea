import { parseRetryAfter } from '@edp/runtime'
import { answerText } from '../answer-text.ts'
import { excerpt } from '../alert.ts'
import { reasonOf } from '../reason.ts'
import type { Delivery } from './channel.ts'

const answerBytesMax = 300

/**
 * Posts JSON once. 2xx is delivered. 408, 429, every 5xx, silence and a lost connection are worth another attempt, with
 * the wait that Retry-After asks for; every other answer would be the same again. The reason never has the URL: for
 * Slack it is the secret.
 */
export async function postJson(options: {
  url: string
  body: unknown
  timeoutMs: number
  headers?: Readonly<Record<string, string>>
}): Promise<Delivery> {
  const { url, body, timeoutMs, headers } = options
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
      // A redirected POST becomes a GET at most servers.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    })
    if (response.ok) {
      await response.body?.cancel()
      return { kind: 'delivered' }
    }
    // The start of it usually says what is wrong.
    const { text } = await answerText(response, answerBytesMax)
    return refusalOf(response, excerpt(text, answerBytesMax))
  } catch (error) {
    return { kind: 'later', reason: reasonOf(error) }
  }
}

function refusalOf(response: Response, answer: string): Delivery {
  const { status } = response
  const reason = answer === '' ? `HTTP ${status}` : `HTTP ${status}: ${answer}`
  if (status !== 408 && status !== 429 && status < 500) return { kind: 'refused', reason }
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now())
  return { kind: 'later', reason, retryAfterMs }
}
