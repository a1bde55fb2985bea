import { type Database, sqlState, traceparentFrom } from '@edp/runtime'
import { type HttpApp, problem, problemSchema } from '@edp/runtime/http'
import {
  noBody,
  noQuery,
  orderPath,
  ordersPage,
  ordersQuery,
  orderView,
  placeOrderBody,
  placeOrderHeaders,
  productBody,
  productPath,
  productsPage,
  productsQuery,
  productView,
  timelineView,
} from './api.ts'
import { cancelOrder } from './cancel-order.ts'
import { saveProduct } from './db/products.ts'
import { findOrder, findTimeline, listOrders, listProducts, type Reads } from './db/reads.ts'
import type { Placed, PlaceOrder } from './place-order.ts'

/** What the routes call. */
export interface RouteOptions {
  readonly database: Database
  readonly namespace: string
  readonly reads: Reads
  readonly placeOrder: (request: PlaceOrder) => Promise<Placed>
}

const handlerTimeoutMs = 15_000
const forCustomers = ['orders']
const forOperators = ['products']

/** Every route of the service, beside those that all services have. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  addPlaceOrder(app, options)
  addOrderRoutes(app, options)
  addCancelOrder(app, options)
  addProductRoutes(app, options)
}

function addPlaceOrder(app: HttpApp, { placeOrder }: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/orders',
    schema: {
      tags: forCustomers,
      summary: 'Places an order; sent again under the same key it gives the same answer',
      querystring: noQuery,
      headers: placeOrderHeaders,
      body: placeOrderBody,
      response: { 202: orderView, 400: problemSchema, 409: problemSchema, 422: problemSchema },
    },
    handler: async (request, reply) => {
      const placed = await placeOrder({
        idempotencyKey: request.headers['idempotency-key'],
        body: request.body,
        traceparent: traceparentFrom(traceparentOf(request.headers)),
      }).catch(explainLock)
      switch (placed.kind) {
        case 'accepted':
          return (
            reply
              .code(202)
              .header('location', `/orders/${placed.order.orderId}`)
              .type('application/json; charset=utf-8')
              // As it was stored, byte for byte, and without the check that other answers get: half the time of the route.
              .serializer(JSON.stringify)
              .send(placed.order)
          )
        case 'unsellable':
          throw problem(422, 'cannot-be-sold', 'The order has lines that cannot be sold.', {
            errors: placed.problems.map(({ index, message }) => ({
              path: `body.lines.${index}.sku`,
              message,
            })),
          })
        case 'other-payload':
          throw problem(422, 'idempotency-key-reused', 'Another order was sent under this key.')
      }
    },
  })
}

function addOrderRoutes(app: HttpApp, { reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/orders',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forCustomers,
      summary: 'Orders, the newest first',
      querystring: ordersQuery,
      response: { 200: ordersPage, 400: problemSchema },
    },
    handler: (request) => listOrders(reads, request.query),
  })

  app.route({
    method: 'GET',
    url: '/orders/:id',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forCustomers,
      summary: 'One order',
      params: orderPath,
      querystring: noQuery,
      response: { 200: orderView, 400: problemSchema, 404: problemSchema },
    },
    handler: async (request) =>
      (await findOrder(reads, request.params.id)) ?? noOrder(request.params.id),
  })

  app.route({
    method: 'GET',
    url: '/orders/:id/timeline',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forCustomers,
      summary: 'What happened to an order, as this service saw it',
      params: orderPath,
      querystring: noQuery,
      response: { 200: timelineView, 400: problemSchema, 404: problemSchema },
    },
    handler: async (request) =>
      (await findTimeline(reads, request.params.id)) ?? noOrder(request.params.id),
  })
}

function addCancelOrder(app: HttpApp, { database, namespace }: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/orders/:id/cancel',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forCustomers,
      summary: 'Starts to cancel a pending order; 200 when that was started before',
      params: orderPath,
      querystring: noQuery,
      body: noBody,
      response: {
        200: orderView,
        202: orderView,
        400: problemSchema,
        404: problemSchema,
        409: problemSchema,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const traceparent = traceparentFrom(traceparentOf(request.headers))
      const outcome = await cancelOrder({ database, namespace }, id, traceparent)
      switch (outcome.kind) {
        case 'not-found':
          return noOrder(id)
        case 'confirmed':
          throw problem(409, 'order-confirmed', 'The order is confirmed and will be shipped.')
        case 'cancelling':
          return reply.code(202).send(outcome.order)
        case 'already':
          return reply.code(200).send(outcome.order)
      }
    },
  })
}

function addProductRoutes(app: HttpApp, { database, reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/products',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forOperators,
      summary: 'What can be ordered, by SKU',
      querystring: productsQuery,
      response: { 200: productsPage, 400: problemSchema },
    },
    handler: (request) => listProducts(reads, request.query),
  })

  app.route({
    method: 'PUT',
    url: '/products/:sku',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forOperators,
      summary: 'Makes a product, or changes it for later orders',
      params: productPath,
      querystring: noQuery,
      body: productBody,
      response: { 200: productView, 400: problemSchema },
    },
    handler: async (request) => {
      const product = { sku: request.params.sku, ...request.body }
      await database.transaction(async (tx) => saveProduct(tx, product))
      return product
    },
  })
}

function noOrder(orderId: string): never {
  throw problem(404, 'no-such-order', `There is no order ${orderId}.`)
}

// The only lock that placing an order waits for is that of its key: another request holds it and has not ended yet.
function explainLock(error: unknown): never {
  if (sqlState(error) !== '55P03') throw error
  throw problem(409, 'request-in-progress', 'A request with this key is still being handled.', {
    headers: { 'retry-after': '1' },
  })
}

/** Who sends the header twice starts a new trace. */
function traceparentOf(headers: Readonly<Record<string, unknown>>): string | undefined {
  const { traceparent } = headers
  return typeof traceparent === 'string' ? traceparent : undefined
}
