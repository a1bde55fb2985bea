import { orderId } from '@edp/event-schemas'
import { problemSchema } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { PaymentQueries } from './db/payment-queries.ts'

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
  limit: z.coerce.number().int().positive().max(1000).default(100),
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

/** Every route of the service. It only reads: payments come and go with messages. */
export const routes: FastifyPluginCallbackZod<{ queries: PaymentQueries }> = (
  app,
  { queries },
  done,
) => {
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
