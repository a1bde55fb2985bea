import { orderId } from '@edp/event-schemas'
import { type Database, type Logger, unreachable } from '@edp/runtime'
import { problem, problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PaymentQueries } from './db/payment-queries.ts'
import { retryFailedRefund } from './retry-refund.ts'

const status = z.enum([
  'requested',
  'captured',
  'declined',
  'voiding',
  'void',
  'refunding',
  'refunded',
  'refund_failed',
])
const pageQuery = z.strictObject({
  orderId: orderId.optional(),
  status: status.optional().describe('refund_failed: what a person should look at'),
  cursor: orderId.optional().describe('nextCursor of the page before'),
  limit: queryNumber(1, 1000).default(100),
})
const paymentView = z.strictObject({
  orderId: z.string(),
  status,
  amountMinor: z.int(),
  currency: z.string(),
  refundedMinor: z.int(),
  chargeId: z.string().nullable(),
  declineCode: z.string().nullable(),
  attempts: z.int().describe('calls without an outcome, in this status'),
  dueAt: z.string().nullable().describe('when the gateway is called next'),
})
const paymentPage = z.strictObject({
  payments: z.array(paymentView),
  nextCursor: z.string().nullable(),
})

const orderPath = z.strictObject({ orderId })
// Postgres cannot store NUL or half a surrogate pair, and nobody means the other ones.
const printable = /^\P{C}+$/u
const retryBody = z.strictObject({
  by: z.string().max(200).regex(printable, 'expected text without control characters'),
  why: z.string().max(1000).regex(printable, 'expected text without control characters'),
})
const retryView = z.strictObject({ orderId: z.string(), status: z.literal('due') })

export interface RouteOptions {
  queries: PaymentQueries
  database: Pick<Database, 'transaction'>
  /** Looks for due payments now. */
  dueNow: () => void
  logger: Logger
}

/** Every route of the service. Payments come and go with messages; a person may only have a refund tried again. */
export const routes: FastifyPluginCallbackZod<RouteOptions> = (app, options, done) => {
  const { queries, logger } = options
  app.post(
    '/payments/:orderId/retry',
    {
      schema: {
        summary: 'Tries a refund that did not succeed again at once',
        params: orderPath,
        body: retryBody,
        response: { 202: retryView, 400: problemSchema, 404: problemSchema, 409: problemSchema },
      },
    },
    async ({ params, body }, reply) => {
      const retried = await retryFailedRefund(params.orderId, options)
      switch (retried.kind) {
        case 'unknown-payment':
          throw problem(404, 'unknown-payment', `There is no payment of ${params.orderId}.`)
        case 'nothing-failed':
          throw problem(409, 'nothing-failed', `The payment is ${retried.status}, not failed.`)
        case 'due':
          logger.info({ ...params, ...body }, 'a refund is tried again by a person')
          return reply.code(202).send({ ...params, status: 'due' })
        default:
          return unreachable(retried)
      }
    },
  )
  app.get(
    '/payments',
    {
      schema: {
        summary: 'Payments, of one order or in one status, oldest order first',
        querystring: pageQuery,
        response: { 200: paymentPage, 400: problemSchema },
      },
    },
    async ({ query }) => {
      const { cursor, ...filter } = query
      const rows = await queries.page({ ...filter, after: cursor })
      const last = rows.length === query.limit ? rows.at(-1) : undefined
      return { payments: rows.map(viewOf), nextCursor: last?.orderId ?? null }
    },
  )
  done()
}

type Row = Awaited<ReturnType<PaymentQueries['page']>>[number]

function viewOf(row: Row): z.infer<typeof paymentView> {
  return {
    orderId: row.orderId,
    status: row.status,
    amountMinor: row.amountMinor,
    currency: row.currency,
    refundedMinor: row.refundedMinor,
    chargeId: row.chargeId,
    declineCode: row.declineCode,
    attempts: row.attempts,
    dueAt: row.dueAt?.toISOString() ?? null,
  }
}
