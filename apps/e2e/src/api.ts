import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { request, send, UnexpectedAnswer } from './http-client.ts'

/** The two styles in which an order is fulfilled. */
export const coordinations = ['choreographed', 'orchestrated'] as const
export type Coordination = (typeof coordinations)[number]

const order = z.object({
  orderId: z.string(),
  coordination: z.enum(coordinations),
  customerId: z.string(),
  status: z.enum(['pending', 'cancelling', 'confirmed', 'cancelled']),
  amountMinor: z.number(),
  currency: z.string(),
  cancelReason: z.string().nullable(),
  placedAt: z.string(),
  endedAt: z.string().nullable(),
})
export type Order = z.infer<typeof order>

const timeline = z.object({
  orderId: z.string(),
  status: z.string(),
  entries: z.array(
    z.object({ at: z.string(), type: z.string(), source: z.string(), detail: z.unknown() }),
  ),
})
export type TimelineEntry = z.infer<typeof timeline>['entries'][number]

const stock = z.object({
  sku: z.string(),
  onHand: z.number(),
  reserved: z.number(),
  available: z.number(),
})
export type Stock = z.infer<typeof stock>

const payments = z.object({
  payments: z.array(
    z.object({
      orderId: z.string(),
      status: z.string(),
      amountMinor: z.number(),
      refundedMinor: z.number(),
      attempts: z.number(),
    }),
  ),
})
export type Payment = z.infer<typeof payments>['payments'][number]

const charge = z.object({
  key: z.string(),
  status: z.enum(['captured', 'declined', 'voided', 'refunded']),
  amountMinor: z.number(),
  refundedMinor: z.number(),
})
export type Charge = z.infer<typeof charge>

const saga = z.object({
  sagaId: z.string(),
  status: z.enum(['running', 'compensating', 'fencing', 'needs_human', 'completed', 'compensated']),
  step: z.string().nullable(),
  attempt: z.number().nullable(),
  version: z.number(),
})
export type Saga = z.infer<typeof saga>

const sagaDetail = saga.extend({
  log: z.array(
    z.object({
      at: z.string(),
      input: z.looseObject({ kind: z.string() }),
      note: z.string(),
      effects: z.array(z.looseObject({ kind: z.string() })),
      actor: z.string(),
    }),
  ),
})
export type SagaDetail = z.infer<typeof sagaDetail>
export type SagaLogEntry = SagaDetail['log'][number]
const sagasPage = z.object({ sagas: z.array(saga) })

/** What an operator may do with a saga. */
export type SagaVerb = 'retry' | 'skip' | 'cancel'

/** Who does it, why, and to which version of the saga: the ETag that was read. */
export interface Intervention {
  actor: string
  reason: string
  ifMatch: string
}

/** What a customer sends. */
export interface NewOrder {
  customerId: string
  currency: string
  lines: { sku: string; quantity: number }[]
  paymentToken: string
  coordination: Coordination
  priority?: 'standard' | 'express'
}

/** Where the services answer. */
export interface ServiceUrls {
  orders: string
  inventory: string
  payments: string
  gateway: string
  deadLetters: string
}

/**
 * The HTTP APIs of the system, as its customers and operators use them. The addresses are read at each request, so that who gives
 * them can lead the next one elsewhere, as a load balancer does.
 */
export function createApi(urls: ServiceUrls) {
  return { ...customerApi(urls), ...operatorApi(urls), ...partnerApi(urls) }
}
export type Api = ReturnType<typeof createApi>

function customerApi(urls: ServiceUrls) {
  return {
    placeOrder: (body: NewOrder, idempotencyKey: string = randomUUID()): Promise<Order> =>
      request(order, 'POST', `${urls.orders}/orders`, {
        body,
        headers: { 'idempotency-key': idempotencyKey },
      }),
    cancelOrder: (orderId: string): Promise<Order> =>
      request(order, 'POST', `${urls.orders}/orders/${orderId}/cancel`),
    order: (orderId: string): Promise<Order> =>
      request(order, 'GET', `${urls.orders}/orders/${orderId}`),
    timeline: async (orderId: string): Promise<TimelineEntry[]> =>
      (await request(timeline, 'GET', `${urls.orders}/orders/${orderId}/timeline`)).entries,
  }
}

function operatorApi(urls: ServiceUrls) {
  return {
    putProduct: async (sku: string, unitPriceMinor: number): Promise<void> => {
      const body = { name: sku, unitPriceMinor, currency: 'EUR' }
      await request(z.unknown(), 'PUT', `${urls.orders}/products/${sku}`, { body })
    },
    receiveStock: (sku: string, quantity: number): Promise<Stock> =>
      request(stock, 'POST', `${urls.inventory}/stock/${sku}/receive`, {
        body: { quantity, receiptId: randomUUID() },
      }),
    stock: (sku: string): Promise<Stock> => request(stock, 'GET', `${urls.inventory}/stock/${sku}`),
    payments: async (orderId: string): Promise<Payment[]> =>
      (await request(payments, 'GET', `${urls.payments}/payments?orderId=${orderId}`)).payments,
    /** A saga, with the ETag that an intervention names. */
    saga: async (sagaId: string): Promise<{ saga: SagaDetail; etag: string }> => {
      const response = await send('GET', `${urls.orders}/sagas/${sagaId}`)
      return { saga: sagaDetail.parse(response.body), etag: response.headers.get('etag') ?? '' }
    },
    sagas: async (status: Saga['status']): Promise<Saga[]> =>
      (await request(sagasPage, 'GET', `${urls.orders}/sagas?status=${status}`)).sagas,
    /** @throws UnexpectedAnswer with 412 when the saga has changed since it was read */
    intervene: async (
      sagaId: string,
      verb: SagaVerb,
      { ifMatch, ...body }: Intervention,
    ): Promise<void> => {
      const headers = { 'if-match': ifMatch }
      await send('POST', `${urls.orders}/sagas/${sagaId}/${verb}`, { body, headers })
    },
  }
}

/** The payment provider's: which is outside of the system. */
function partnerApi({ gateway }: ServiceUrls) {
  const urlOf = (orderId: string): string =>
    `${gateway}/charges/${encodeURIComponent(`${orderId}/charge/do`)}`
  return {
    /** What became of the charge of an order; undefined when the provider was never asked. */
    charge: async (orderId: string): Promise<Charge | undefined> => {
      try {
        return await request(charge, 'GET', urlOf(orderId))
      } catch (error) {
        if (error instanceof UnexpectedAnswer && error.status === 404) return undefined
        throw error
      }
    },
    /** Mends what makes the provider refuse the refund of an order. */
    repairCharge: (orderId: string): Promise<Charge> =>
      request(charge, 'POST', `${urlOf(orderId)}/repair`),
  }
}
