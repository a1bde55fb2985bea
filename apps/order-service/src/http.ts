import { type Database, sqlState, traceparentFrom } from '@edp/runtime'
import { type HttpApp, problem, problemSchema, refuseRepeated } from '@edp/runtime/http'
import { readSaga } from '@edp/saga/postgres'
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
import { listSagas } from './db/saga-reads.ts'
import { operateSaga, type Operation } from './operate-saga.ts'
import type { Placed, PlaceOrder } from './place-order.ts'
import {
  operationBody,
  operationHeaders,
  sagaDetail,
  sagasPage,
  sagasQuery,
  sagaView,
  viewSaga,
  viewSagaDetail,
} from './saga-api.ts'
import type { OrderSagas } from './sagas.ts'

/** What the routes call. */
export interface RouteOptions {
  readonly database: Database
  readonly namespace: string
  readonly reads: Reads
  readonly sagas: OrderSagas
  readonly placeOrder: (request: PlaceOrder) => Promise<Placed>
}

const handlerTimeoutMs = 15_000
const forCustomers = ['orders']
const forOperators = ['products']
const forSagas = ['sagas']
const sagaLogMax = 1000

/** Every route of the service, beside those that all services have. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  addPlaceOrder(app, options)
  addOrderRoutes(app, options)
  addCancelOrder(app, options)
  addProductRoutes(app, options)
  addSagaRoutes(app, options)
  for (const verb of ['retry', 'skip', 'cancel'] as const) addSagaVerb(app, options, verb)
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
      refuseRepeated(request, 'idempotency-key')
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
          throw problem(422, 'cannot-be-sold', 'The order cannot be sold as it is.', {
            errors: placed.problems.map(({ path, message }) => ({ path: `body.${path}`, message })),
          })
        case 'other-payload':
          throw problem(
            422,
            'idempotency-key-reused',
            'Another order of this customer was sent under this key.',
          )
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

function addCancelOrder(app: HttpApp, { database, namespace, sagas }: RouteOptions): void {
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
      const outcome = await cancelOrder({ database, namespace, sagas }, id, traceparent)
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

function addSagaRoutes(app: HttpApp, { database, reads, sagas }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/sagas',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forSagas,
      summary: 'Sagas, the newest first',
      querystring: sagasQuery,
      response: { 200: sagasPage, 400: problemSchema },
    },
    handler: (request) => listSagas(reads, request.query),
  })

  app.route({
    method: 'GET',
    url: '/sagas/:id',
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forSagas,
      summary: 'One saga: its state, its log, what it will still do. The ETag is its version',
      params: orderPath,
      querystring: noQuery,
      response: { 200: sagaDetail, 400: problemSchema, 404: problemSchema },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const found = await database.transaction((tx) => readSaga(tx, id, sagaLogMax))
      if (found === undefined) return noSaga(id)
      const { saga, log } = found
      const registered = sagas.registry.find(saga.definition, saga.definitionVersion)
      void reply.header('etag', `"${saga.state.version}"`)
      return viewSagaDetail(saga, log, registered)
    },
  })
}

const verbSummary = {
  retry: 'Sends the command that is under way again, at once',
  skip: 'Waits no longer for an undo, on record, and goes on with the one before it; a participant that succeeds later is only noted',
  cancel: 'Gives the saga up, before its pivot: what was done is undone',
} as const satisfies Record<Operation['verb'], string>

function addSagaVerb(app: HttpApp, options: RouteOptions, verb: Operation['verb']): void {
  app.route({
    method: 'POST',
    url: `/sagas/:id/${verb}`,
    handlerTimeout: handlerTimeoutMs,
    schema: {
      tags: forSagas,
      summary: `${verbSummary[verb]}. If-Match says which version the operator has seen`,
      params: orderPath,
      querystring: noQuery,
      headers: operationHeaders,
      body: operationBody,
      response: {
        200: sagaView,
        400: problemSchema,
        404: problemSchema,
        409: problemSchema,
        412: problemSchema,
        428: problemSchema,
      },
    },
    handler: async (request, reply) => {
      const { id: sagaId } = request.params
      const seen = request.headers['if-match']
      if (seen === undefined) {
        throw problem(428, 'if-match-required', 'If-Match has to be the ETag of GET /sagas/:id.')
      }
      const version = Number(seen.slice(1, -1))
      const traceparent = traceparentFrom(traceparentOf(request.headers))
      const operation = { ...request.body, sagaId, verb, version, traceparent }
      const outcome = await operateSaga(options, operation)
      switch (outcome.kind) {
        case 'not-found':
          return noSaga(sagaId)
        case 'stale':
          throw problem(412, 'saga-changed', `The saga is at version ${outcome.version} by now.`)
        case 'not-possible':
          throw problem(409, 'not-possible', `Cannot ${verb} this saga: ${outcome.note}.`)
        case 'done':
          void reply.header('etag', `"${outcome.saga.state.version}"`)
          return viewSaga(outcome.saga)
      }
    },
  })
}

function noSaga(sagaId: string): never {
  throw problem(404, 'no-such-saga', `There is no saga ${sagaId}.`)
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
