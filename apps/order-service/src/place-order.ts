import { hash } from 'node:crypto'
import { type ComposedMessage, newId, type PricedLine } from '@edp/event-schemas'
import { claimKeys, type KeyRequest, readKeys, type StoredAnswer } from '@edp/idempotency'
import { enqueue } from '@edp/outbox'
import { type AdvancedSaga, countSagaLog, insertSagaLog, insertSagas } from '@edp/saga/postgres'
import { AppError, createGroupCommit, type Database, faultPoint, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { type OrderView, type PlaceOrderBody, viewOrder } from './api.ts'
import { insertOrders } from './db/orders.ts'
import { readCatalogue } from './db/products.ts'
import { insertTimeline } from './db/timeline.ts'
import type { PendingOrder } from './domain/order.ts'
import { type PricingProblem, priceLines, type Product } from './domain/prices.ts'
import { countPlaced, observeGroup } from './metrics.ts'
import { firstCommands } from './orchestrate.ts'
import { orderPlaced } from './order-messages.ts'
import type { OrderSagas } from './sagas.ts'
import { serviceName } from './service-name.ts'
import { startFulfilment } from './start-fulfilment.ts'
import { detailOfSent, sent } from './timeline.ts'

/** A customer's request for an order. */
export interface PlaceOrder {
  readonly idempotencyKey: string
  readonly body: PlaceOrderBody
  readonly traceparent: string
}

/** What became of it. `accepted` is the first answer, also when the request was sent again. */
export type Placed =
  | { readonly kind: 'accepted'; readonly order: OrderView }
  | { readonly kind: 'unsellable'; readonly problems: readonly PricingProblem[] }
  | { readonly kind: 'other-payload' }

export interface PlaceOrderOptions {
  readonly database: Database
  readonly namespace: string
  readonly orderDeadlineMs: number
  readonly sagas: OrderSagas
}

const accepted = 202
const lanes = 2
const groupMax = 200
const waitingMax = 5000

/**
 * Places orders in groups: what waited while both lanes were committing goes into one transaction. The idempotency keys are
 * claimed in it, so there is one order for a key, whatever happens to the process or the connection afterwards.
 */
export function createPlaceOrder(
  options: PlaceOrderOptions,
): (request: PlaceOrder) => Promise<Placed> {
  return createGroupCommit({
    lanes,
    groupMax,
    waitingMax,
    run: (requests: readonly PlaceOrder[]) => placeGroup(options, requests),
  })
}

/** An order that will be placed if its key is free. */
interface Sellable {
  readonly kind: 'sellable'
  readonly request: PlaceOrder
  readonly order: PendingOrder
  readonly lines: readonly PricedLine[]
  readonly view: OrderView
  /** The saga that conducts it, if one does. */
  readonly started: AdvancedSaga | null
}

/** An order that cannot be placed, unless it was already: the catalogue may have changed since. */
interface Unsellable {
  readonly kind: 'unsellable'
  readonly request: PlaceOrder
  readonly problems: readonly PricingProblem[]
}

async function placeGroup(
  options: PlaceOrderOptions,
  requests: readonly PlaceOrder[],
): Promise<Placed[]> {
  observeGroup(requests.length)
  const drafts = await options.database.transaction(async (tx) => {
    const { now, products } = await readCatalogue(tx, skusOf(requests))
    const dueAt = new Date(now.getTime() + options.orderDeadlineMs)
    const times = { now, dueAt }
    const all = requests.map((request) => draft(options, request, products, times))
    return claimAndInsert(tx, all, { namespace: options.namespace, now })
  })
  const fault = faultPoint('place-order.committed')
  if (fault) await fault
  countFresh(drafts)
  return answer(options.database, drafts)
}

function skusOf(requests: readonly PlaceOrder[]): Set<string> {
  return new Set(requests.flatMap(({ body }) => body.lines.map((line) => line.sku)))
}

/** The order that a request would make at today's prices. */
function draft(
  { sagas }: PlaceOrderOptions,
  request: PlaceOrder,
  products: ReadonlyMap<string, Product>,
  times: { now: Date; dueAt: Date },
): Sellable | Unsellable {
  const { customerId, currency, coordination, priority, lines } = request.body
  const pricing = priceLines(lines, currency, products)
  if (!pricing.ok) return { kind: 'unsellable', request, problems: pricing.problems }
  const order: PendingOrder = {
    orderId: newId(),
    customerId,
    status: 'pending',
    coordination,
    priority,
    currency,
    amountMinor: pricing.amountMinor,
    placedAt: times.now,
    dueAt: times.dueAt,
  }
  const view = viewOrder(order, pricing.lines)
  const started =
    coordination === 'orchestrated'
      ? startFulfilment(sagas.starts, order, { request, lines: pricing.lines })
      : null
  return { kind: 'sellable', request, order, lines: pricing.lines, view, started }
}

interface Claimed {
  readonly draft: Sellable | Unsellable
  /** Whether this transaction placed the order. */
  readonly fresh: boolean
}

async function claimAndInsert(
  tx: Tx,
  drafts: readonly (Sellable | Unsellable)[],
  origin: { namespace: string; now: Date },
): Promise<Claimed[]> {
  const sellable = drafts.filter((one) => one.kind === 'sellable')
  const claims = await claimKeys(tx, sellable.map(keyRequest))
  const fresh = sellable.filter((_one, index) => claims[index])
  const started = fresh.flatMap((one) => one.started ?? [])
  insertSagas(
    tx,
    started.map((one) => one.saga),
  )
  insertSagaLog(
    tx,
    started.flatMap((one) => one.log),
  )
  insertOrders(tx, fresh)
  const messages = fresh.flatMap((one) => announce(tx, one, origin))
  insertTimeline(
    tx,
    messages.map((message) => sent(message, origin.now, detailOfSent(message, undefined))),
  )
  const placed = new Set<Sellable | Unsellable>(fresh)
  return drafts.map((one) => ({ draft: one, fresh: placed.has(one) }))
}

/** Tells everybody of an order, and the first participant what to do when a saga conducts it. */
function announce(
  tx: Tx,
  { order, lines, started, request: { body, traceparent } }: Sellable,
  origin: { namespace: string; now: Date },
): ComposedMessage[] {
  const { coordination, priority } = order
  const from = { source: serviceName, coordination, priority, traceparent, ...origin }
  const placed = enqueue(tx, [orderPlaced(order, lines, body.paymentToken)], from)
  const [cause] = placed
  if (started === null || cause === undefined) return [...placed]
  return [...placed, ...enqueue(tx, firstCommands(started), { ...from, causationId: cause.id })]
}

function countFresh(claimed: readonly Claimed[]): void {
  const fresh = claimed.flatMap(({ draft: one, fresh: isFresh }) =>
    isFresh && one.kind === 'sellable' ? [one] : [],
  )
  const byStyle = Map.groupBy(fresh, ({ order }) => order.coordination)
  for (const [coordination, of] of byStyle) countPlaced(coordination, of.length)
  for (const { started } of fresh) if (started) countSagaLog(started.log)
}

function keyRequest({ request, view }: Sellable): KeyRequest {
  return { ...keyOf(request), fingerprint: fingerprintOf(request), status: accepted, body: view }
}

/** A customer's key means nothing for another customer. */
function keyOf({ body, idempotencyKey }: PlaceOrder): { scope: string; key: string } {
  return { scope: body.customerId, key: idempotencyKey }
}

/**
 * Of what was read, so that spaces and the order of fields do not matter. A field that requests did not always have counts only when
 * it says something else than its absence: a request may be sent again to a version that has one more.
 */
function fingerprintOf({ body: { priority, ...body } }: PlaceOrder): string {
  const said = { ...body, ...(priority !== 'standard' && { priority }) }
  return hash('sha256', JSON.stringify(said), 'base64')
}

/** After the commit: what was placed as it was placed, the rest as their keys say. */
async function answer(database: Database, claimed: readonly Claimed[]): Promise<Placed[]> {
  const others = claimed.filter((one) => !one.fresh).map((one) => one.draft)
  const stored = await readKeys(
    database,
    others.map(({ request }) => keyOf(request)),
  )
  const answers = new Map(others.map((one, index) => [one, stored[index]]))
  return claimed.map(({ draft: one, fresh }) =>
    fresh && one.kind === 'sellable'
      ? { kind: 'accepted', order: one.view }
      : replay(one, answers.get(one)),
  )
}

// What this service stored itself is passed on as it is: a check would fail old answers after a change of the schema.
const storedOrder = z.custom<OrderView>(
  (body) => typeof body === 'object' && body !== null && 'orderId' in body,
)

function replay(one: Sellable | Unsellable, stored: StoredAnswer | undefined): Placed {
  if (stored !== undefined) {
    if (stored.fingerprint !== fingerprintOf(one.request)) return { kind: 'other-payload' }
    return { kind: 'accepted', order: storedOrder.parse(stored.body) }
  }
  if (one.kind === 'unsellable') return { kind: 'unsellable', problems: one.problems }
  throw new AppError('key-vanished', 'an idempotency key was taken, and then it was not there', {
    retry: 'transient-message',
  })
}
