import { parseRetryAfter } from '@edp/runtime'
import { type Dispatcher, errors, Pool } from 'undici'
import { z } from 'zod'
import { gatewayKey } from './charge-step.ts'
import type { ChargeAnswer, Payment, Unknown, VoidAnswer } from './domain/payment.ts'

/** Nothing was sent: whatever the gateway knew before, it knows now. */
export interface Unreachable {
  readonly kind: 'unreachable'
  readonly reason: string
}

/** The payment provider. Every call may be repeated: the key of the order makes its charge happen once. */
export interface Gateway {
  charge(payment: Payment): Promise<ChargeAnswer | Unreachable>
  /** Gives back what the key charged, or makes sure that it never charges; the provider serialises it with the charge. */
  void(payment: Payment): Promise<VoidAnswer | Unreachable>
  close(): Promise<void>
}

// Text that Postgres stores: an answer that could not be recorded would be asked for again for ever.
const storableText = z.string().regex(/^\P{C}{1,200}$/u)
const capturedBody = z.object({
  status: z.literal('captured'),
  chargeId: storableText,
  amountMinor: z.int(),
  currency: z.string(),
})
const declinedBody = z.object({ code: storableText })
const voidBody = z.discriminatedUnion('status', [
  z.object({ status: z.literal('voided') }),
  z.object({ status: z.literal('refunded'), refundedMinor: z.int() }),
])

/** Codes of errors before anything was sent. After that, no error says that nothing happened. */
const unreachableCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])

const answerBytesMax = 64 * 1024

/** Makes the client of the gateway: one connection a call, kept alive. */
export function createGateway(options: {
  url: string
  timeoutMs: number
  connectionsMax: number
}): Gateway {
  const { url, timeoutMs, connectionsMax } = options
  const pool = new Pool(new URL(url).origin, {
    connections: connectionsMax,
    // A request waits for the one before it on its connection, so one that is slow would hold up others.
    pipelining: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connect: { timeout: timeoutMs },
    keepAliveTimeout: 60_000,
  })
  const path = new URL(url).pathname.replace(/\/$/, '')
  const post = (request: Dispatcher.DispatchOptions) => send(pool, request)

  return {
    async charge(payment) {
      const { orderId, amountMinor, currency, paymentRef: token } = payment
      const answer = await post({
        method: 'POST',
        path: `${path}/charges`,
        headers: { 'content-type': 'application/json', 'idempotency-key': gatewayKey(orderId) },
        body: JSON.stringify({ amountMinor, currency, token }),
      })
      return 'kind' in answer ? answer : readCharge(payment, answer)
    },
    async void(payment) {
      const key = encodeURIComponent(gatewayKey(payment.orderId))
      const answer = await post({ method: 'POST', path: `${path}/charges/${key}/void` })
      return 'kind' in answer ? answer : readVoid(payment, answer)
    },
    close: () => pool.destroy(),
  }
}

interface HttpAnswer {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: string
}

// Only what says for good that it was or will not be charged is definite. A 4xx may come from something between us
// and the provider while an earlier attempt has charged, so it is unknown and asked again, like 5xx, silence, and an answer
// about another amount.
function readCharge({ amountMinor, currency }: Payment, answer: HttpAnswer): ChargeAnswer {
  if (answer.status === 201) {
    const body = parse(capturedBody, answer.body)
    if (body?.amountMinor === amountMinor && body.currency === currency)
      return { kind: 'captured', chargeId: body.chargeId }
  }
  if (answer.status === 402) {
    const body = parse(declinedBody, answer.body)
    if (body) return { kind: 'declined', code: body.code }
  }
  return unknown(answer)
}

function readVoid({ amountMinor }: Payment, answer: HttpAnswer): VoidAnswer {
  if (answer.status === 200) {
    const body = parse(voidBody, answer.body)
    if (body?.status === 'voided') return { kind: 'voided' }
    // A part of it is no end: all of it was charged.
    if (body?.refundedMinor === amountMinor) return { kind: 'refunded', refundedMinor: amountMinor }
  }
  if (answer.status === 409) return { kind: 'refund-refused' }
  return unknown(answer)
}

function unknown({ status, retryAfter }: HttpAnswer): Unknown {
  const retryAfterMs = parseRetryAfter(retryAfter, Date.now())
  return {
    kind: 'unknown',
    reason: `http-${status}`,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  }
}

function parse<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

// `dispatch` and not `request`: no stream for an answer of a hundred bytes, which was a third of the CPU of a call.
function send(
  pool: Pool,
  request: Dispatcher.DispatchOptions,
): Promise<HttpAnswer | Unknown | Unreachable> {
  const { promise, resolve } = Promise.withResolvers<HttpAnswer | Unknown | Unreachable>()
  let status = 0
  let retryAfter: string | undefined
  let body: Buffer = Buffer.alloc(0)
  pool.dispatch(request, {
    onRequestStart: () => undefined,
    onResponseStart: (_controller, statusCode, headers) => {
      status = statusCode
      const header = headers['retry-after']
      retryAfter = typeof header === 'string' ? header : undefined
    },
    onResponseData: (controller, chunk) => {
      body = body.length === 0 ? chunk : Buffer.concat([body, chunk])
      if (body.length > answerBytesMax) controller.abort(new Error('the answer is too long'))
    },
    onResponseEnd: () => resolve({ status, retryAfter, body: body.toString('utf8') }),
    onResponseError: (_controller, error) => resolve(failureOf(error)),
  })
  return promise
}

function failureOf(error: Error): Unknown | Unreachable {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'connection'
  if (unreachableCodes.has(code)) return { kind: 'unreachable', reason: code }
  const silent =
    error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  return { kind: 'unknown', reason: silent ? 'timeout' : 'connection' }
}
