import { problem, problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyReply } from 'fastify'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type Charge, chargeRequest } from './domain/charge.ts'
import { type Faults, pauseUnlessStopping } from './faults.ts'
import type { Gateway } from './gateway.ts'
import type { Ledger } from './ledger.ts'

// Short enough that the router takes it as a path segment when each slash in it has become %2F.
const key = z
  .string()
  .regex(/^[A-Za-z0-9/_.:-]{1,80}$/, 'expected 1 to 80 of A-Z a-z 0-9 / _ . : -')
const keyParams = z.strictObject({ key })
// Other headers are none of our business, so this one schema is not strict.
const idempotencyHeaders = z.object({ 'idempotency-key': key })

const chargeView = z.strictObject({
  key: z.string(),
  chargeId: z.string().nullable(),
  status: z.enum(['captured', 'declined', 'voided', 'refunded']),
  amountMinor: z.int(),
  refundedMinor: z.int(),
  currency: z.string().nullable(),
  at: z.string(),
})
// Rounded beyond 2^53, which takes 90 million of the dearest orders, and still an answer.
const totalsView = z.record(
  z.string(),
  z.strictObject({ capturedMinor: z.number(), refundedMinor: z.number() }),
)
const capturedView = z.strictObject({
  chargeId: z.string(),
  status: z.literal('captured'),
  amountMinor: z.int(),
  currency: z.string(),
})
const declinedView = z.strictObject({ code: z.string() })
const voidView = z.strictObject({
  status: z.enum(['voided', 'refunded']),
  refundedMinor: z.int(),
})
const pageQuery = z.strictObject({
  cursor: queryNumber(0, Number.MAX_SAFE_INTEGER).default(0),
  limit: queryNumber(1, 10_000).default(1000),
})

export type RouteOptions = { gateway: Gateway; ledger: Ledger; faults: Faults }

/** Every route of the provider. */
export const routes: FastifyPluginCallbackZod<RouteOptions> = (app, options, done) => {
  chargeRoute(app, options)
  undoRoutes(app, options.gateway)
  readRoutes(app, options.ledger)
  done()
}

type App = Parameters<typeof routes>[0]

function chargeRoute(app: App, { gateway, faults }: RouteOptions): void {
  app.post(
    '/charges',
    {
      schema: {
        summary: 'Charge a card, once for each Idempotency-Key',
        headers: idempotencyHeaders,
        body: chargeRequest,
        response: {
          201: capturedView,
          402: declinedView,
          422: problemSchema,
          500: problemSchema,
          503: problemSchema,
        },
      },
    },
    async (request, reply) => {
      const { answer, fresh } = await gateway.charge(
        request.headers['idempotency-key'],
        request.body,
      )
      if (fresh && request.body.token === 'tok_timeout_after_charge') {
        await pauseUnlessStopping(faults, faults.hangMs, gone(reply))
      }
      switch (answer.kind) {
        case 'captured': {
          const { chargeId, amountMinor, currency } = answer.charge
          return reply.code(201).send({ chargeId, status: 'captured', amountMinor, currency })
        }
        case 'declined':
          return reply.code(402).send({ code: answer.code })
        case 'key-reused':
          throw problem(422, 'key-reused', 'This Idempotency-Key belongs to another request.')
        case 'broken':
          throw broken(answer.nth)
      }
    },
  )
}

function undoRoutes(app: App, gateway: Gateway): void {
  app.post(
    '/charges/:key/void',
    {
      schema: {
        summary: 'Give a charge back, or make sure that its key never charges',
        params: keyParams,
        response: { 200: voidView, 409: problemSchema },
      },
    },
    async (request) => {
      const answer = await gateway.void(request.params.key)
      if (answer.kind === 'refund-refused') {
        throw problem(409, 'refund-refused', 'The bank refuses to take this charge back.')
      }
      const refundedMinor = answer.kind === 'refunded' ? answer.refundedMinor : 0
      return { status: answer.kind, refundedMinor }
    },
  )

  app.post(
    '/charges/:key/repair',
    {
      schema: {
        summary: 'For operators: a refused refund goes through the next time',
        params: keyParams,
        response: { 200: chargeView, 404: problemSchema },
      },
    },
    async (request) => viewOrNotFound(await gateway.repair(request.params.key)),
  )
}

function readRoutes(app: App, ledger: Ledger): void {
  app.get(
    '/charges/:key',
    {
      schema: {
        summary: 'What became of a key',
        params: keyParams,
        response: { 200: chargeView, 404: problemSchema },
      },
    },
    (request) => viewOrNotFound(ledger.get(request.params.key)),
  )

  app.get(
    '/ledger',
    {
      schema: {
        summary: 'Every key ever used, oldest first',
        querystring: pageQuery,
        response: {
          200: z.strictObject({
            charges: z.array(chargeView),
            totals: totalsView,
            nextCursor: z.string().nullable(),
          }),
        },
      },
    },
    (request) => {
      const { cursor, limit } = request.query
      const charges = ledger.page(cursor, limit).map(view)
      const next = cursor + charges.length
      const nextCursor = next < ledger.size ? String(next) : null
      return { charges, totals: ledger.totals(), nextCursor }
    },
  )

  app.get(
    '/ledger/totals',
    {
      schema: {
        summary: 'What was charged and given back, by currency',
        response: { 200: z.strictObject({ totals: totalsView }) },
      },
    },
    () => ({ totals: ledger.totals() }),
  )
}

// One of each kind, so that a merchant is tested with a 5xx that says when to come back and one that does not.
function broken(nth: number): Error {
  const detail = 'tok_5xx_twice: the first two answers of a key are a 5xx.'
  if (nth === 1) return problem(500, 'broken', detail)
  return problem(503, 'unavailable', detail, { headers: { 'retry-after': '1' } })
}

function viewOrNotFound(charge: Charge | undefined) {
  if (!charge) throw problem(404, 'unknown-key', 'Nobody has used this key.')
  return view(charge)
}

function view(charge: Charge): z.infer<typeof chargeView> {
  const { key: name, status, at } = charge
  const captured = charge.status === 'captured' || charge.status === 'refunded'
  return {
    key: name,
    chargeId: captured ? charge.chargeId : null,
    status,
    amountMinor: charge.status === 'voided' ? 0 : charge.amountMinor,
    refundedMinor: charge.status === 'refunded' ? charge.amountMinor : 0,
    currency: charge.status === 'voided' ? null : charge.currency,
    at,
  }
}

/** Aborts when the client has hung up. */
function gone(reply: FastifyReply): AbortSignal {
  const closed = new AbortController()
  reply.raw.once('close', () => closed.abort())
  return closed.signal
}
