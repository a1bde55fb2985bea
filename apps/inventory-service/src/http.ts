import { sku } from '@edp/event-schemas'
import type { Database } from '@edp/runtime'
import { problem, problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { StockQueries } from './db/stock.ts'
import { available, type StockItem } from './domain/stock.ts'
import { receiveStock } from './receive-stock.ts'

// Postgres cannot store NUL or half a surrogate pair, and nobody means the other ones.
const printable = /^\P{C}*$/u
const notPrintable = 'expected text without control characters'
const skuParams = z.strictObject({ sku: sku.regex(printable, notPrintable) })
const pageQuery = z.strictObject({
  cursor: z
    .string()
    .max(64)
    .regex(printable, notPrintable)
    .default('')
    .describe('nextCursor of the page before'),
  limit: queryNumber(1, 1000).default(100),
})
const receiveBody = z.strictObject({
  quantity: z.int().positive().max(1_000_000_000),
  receiptId: z.uuid().optional().describe('the same delivery sent twice counts once'),
})

const stockView = z.strictObject({
  sku: z.string(),
  onHand: z.int(),
  reserved: z.int(),
  available: z.int(),
})
const stockPage = z.strictObject({ stock: z.array(stockView), nextCursor: z.string().nullable() })

export interface RouteOptions {
  database: Pick<Database, 'transaction'>
  stock: StockQueries
}

/** Every route of the service. */
export const routes: FastifyPluginCallbackZod<RouteOptions> = (app, options, done) => {
  const { database, stock } = options

  app.get(
    '/stock',
    {
      schema: {
        summary: 'All SKUs and their stock',
        querystring: pageQuery,
        response: { 200: stockPage, 400: problemSchema },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query
      const items = await stock.page(limit, cursor)
      const last = items.length === limit ? items.at(-1) : undefined
      return { stock: items.map(viewOf), nextCursor: last?.sku ?? null }
    },
  )

  app.get(
    '/stock/:sku',
    {
      schema: {
        summary: 'The stock of one SKU',
        params: skuParams,
        response: { 200: stockView, 404: problemSchema },
      },
    },
    async (request) => {
      const item = await stock.find(request.params.sku)
      if (!item) throw problem(404, 'unknown-sku', `There is no stock of ${request.params.sku}.`)
      return viewOf(item)
    },
  )

  app.post(
    '/stock/:sku/receive',
    {
      schema: {
        summary: 'Take a delivery in',
        params: skuParams,
        body: receiveBody,
        response: { 200: stockView, 400: problemSchema, 409: problemSchema },
      },
    },
    async (request) => {
      const received = await receiveStock(database, { ...request.params, ...request.body })
      if (received.kind === 'receipt-reused') {
        throw problem(409, 'receipt-reused', 'This receiptId belongs to another delivery.')
      }
      return viewOf(received.item)
    },
  )

  done()
}

function viewOf(item: StockItem): z.infer<typeof stockView> {
  return { ...item, available: available(item) }
}
