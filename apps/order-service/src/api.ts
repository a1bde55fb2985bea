import {
  amountMinor,
  cancelReason,
  coordination,
  currency,
  orderId,
  pricedLine,
  type PricedLine,
  priority,
  quantity,
  sku,
} from '@edp/event-schemas'
import { queryNumber } from '@edp/runtime/http'
import { z } from 'zod'
import type { Order } from './domain/order.ts'
import { amountMinorMax } from './domain/prices.ts'

/** What people send and see: the schemas of `http.ts`. */

const linesMax = 50
const pageMax = 100
const pageDefault = 20

// Control characters have no business in a name, and Postgres cannot store NUL or half a surrogate pair.
const printable = /^\P{C}*$/u
const notPrintable = 'expected text without control characters'

/** Text that people type. */
export const printableText = (lengthMax: number) =>
  z.string().min(1).max(lengthMax).regex(printable, notPrintable)

const status = z.enum(['pending', 'cancelling', 'confirmed', 'cancelled'])
const customerId = printableText(100)
const productSku = sku.regex(printable, notPrintable)
const instant = z.iso.datetime()

/** For routes without a query string: what is not known is refused everywhere. */
export const noQuery = z.strictObject({})

/** For a POST that says everything in its path: no body, or an empty object. */
export const noBody = z.strictObject({}).nullish()

/** `:id` in a path. */
export const orderPath = z.strictObject({ id: orderId.toLowerCase() })

/** The headers that mean something here. Others are let pass: browsers and proxies add them. */
export const placeOrderHeaders = z.looseObject({
  'idempotency-key': z
    .string(
      'expected an Idempotency-Key: 1 to 200 characters, new for each order of the customer and the same when it is sent again',
    )
    .min(1)
    .max(200)
    .regex(printable, notPrintable),
})

const orderedLines = z
  .array(z.strictObject({ sku: productSku, quantity }))
  .min(1)
  .max(linesMax)
  .superRefine((lines, context) => {
    const seen = new Set<string>()
    for (const [index, line] of lines.entries()) {
      if (seen.has(line.sku)) {
        const message = `${line.sku} is in the order twice`
        context.addIssue({ code: 'custom', path: [index, 'sku'], message })
      }
      seen.add(line.sku)
    }
  })

/** What a customer sends: never a price. */
export const placeOrderBody = z
  .strictObject({
    customerId,
    currency,
    lines: orderedLines,
    paymentToken: printableText(200),
    coordination: coordination
      .default('orchestrated')
      .describe('whether the orchestrator conducts the order, or the services by themselves'),
    priority: priority
      .default('standard')
      .describe('express overtakes what is standard; only for orchestrated orders'),
  })
  .superRefine((order, context) => {
    // A promise that nobody could keep: a Kafka partition is read in its order.
    if (order.priority === 'express' && order.coordination === 'choreographed') {
      const message = 'expected standard: only orchestrated orders can be express'
      context.addIssue({ code: 'custom', path: ['priority'], message })
    }
  })
export type PlaceOrderBody = z.infer<typeof placeOrderBody>

/** An order as people see it. */
export const orderView = z.strictObject({
  orderId,
  customerId: z.string(),
  status,
  coordination,
  priority,
  currency,
  amountMinor,
  lines: z.array(pricedLine),
  cancelReason: cancelReason.nullable(),
  placedAt: instant,
  dueAt: instant,
  endedAt: instant.nullable(),
})
export type OrderView = z.infer<typeof orderView>

/** Shows an order. */
export function viewOrder(order: Order, lines: readonly PricedLine[]): OrderView {
  return {
    orderId: order.orderId,
    customerId: order.customerId,
    status: order.status,
    coordination: order.coordination,
    priority: order.priority,
    currency: order.currency,
    amountMinor: order.amountMinor,
    lines: [...lines],
    cancelReason: 'cancelReason' in order ? order.cancelReason : null,
    placedAt: order.placedAt.toISOString(),
    dueAt: order.dueAt.toISOString(),
    endedAt: 'endedAt' in order ? order.endedAt.toISOString() : null,
  }
}

/** How much of a list is asked for. */
export const limit = queryNumber(1, pageMax).default(pageDefault)

/** What `GET /orders` filters by. The newest come first; a cursor is the last order of a page. */
export const ordersQuery = z.strictObject({
  status: status.optional(),
  customer: customerId.optional(),
  cursor: orderId.toLowerCase().optional(),
  limit,
})
export type OrdersQuery = z.infer<typeof ordersQuery>

export const ordersPage = z.strictObject({
  orders: z.array(orderView),
  nextCursor: z.string().nullable(),
})
export type OrdersPage = z.infer<typeof ordersPage>

/** What happened to an order, in order. */
export const timelineView = z.strictObject({
  orderId,
  status,
  entries: z.array(
    z.strictObject({
      at: instant,
      type: z
        .string()
        .describe('the type of a message, or what happened without one: cancel.requested, …'),
      messageId: z.string().nullable(),
      causationId: z.string().nullable(),
      source: z.string(),
      detail: z.record(z.string(), z.unknown()).nullable(),
    }),
  ),
})
export type TimelineView = z.infer<typeof timelineView>

/** `:sku` in a path. */
export const productPath = z.strictObject({ sku: productSku })

export const productBody = z.strictObject({
  name: printableText(200),
  unitPriceMinor: amountMinor.max(amountMinorMax),
  currency,
})

export const productView = z.strictObject({
  sku: z.string(),
  name: z.string(),
  unitPriceMinor: amountMinor,
  currency,
})

export const productsQuery = z.strictObject({ cursor: productSku.optional(), limit })
export type ProductsQuery = z.infer<typeof productsQuery>

export const productsPage = z.strictObject({
  products: z.array(productView),
  nextCursor: z.string().nullable(),
})
export type ProductsPage = z.infer<typeof productsPage>
