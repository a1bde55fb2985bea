import { randomUUID } from 'node:crypto'
import { z } from 'zod'

const order = z.object({
  orderId: z.string(),
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
    }),
  ),
})
export type Payment = z.infer<typeof payments>['payments'][number]

const charges = z.object({
  charges: z.array(
    z.object({
      key: z.string(),
      status: z.string(),
      amountMinor: z.number(),
      refundedMinor: z.number(),
    }),
  ),
})

/** What a customer sends. */
export interface NewOrder {
  customerId: string
  currency: string
  lines: { sku: string; quantity: number }[]
  paymentToken: string
  priority?: 'standard' | 'express'
  coordination?: 'choreographed' | 'orchestrated'
}

/** Where the services answer. */
export interface ServiceUrls {
  orders: string
  inventory: string
  payments: string
  gateway: string
}

/** An answer with another status than was expected. */
export class UnexpectedAnswer extends Error {
  readonly status: number

  constructor(what: string, status: number, body: string) {
    super(`${what} was answered with ${status}: ${body}`)
    this.name = 'UnexpectedAnswer'
    this.status = status
  }
}

/** The HTTP APIs of the system, as its customers and operators use them. */
export function createApi(urls: ServiceUrls) {
  return {
    placeOrder: (body: NewOrder, idempotencyKey: string = randomUUID()): Promise<Order> =>
      request(order, 'POST', `${urls.orders}/orders`, {
        body: { coordination: 'choreographed', ...body },
        headers: { 'idempotency-key': idempotencyKey },
      }),
    cancelOrder: (orderId: string): Promise<Order> =>
      request(order, 'POST', `${urls.orders}/orders/${orderId}/cancel`),
    order: (orderId: string): Promise<Order> =>
      request(order, 'GET', `${urls.orders}/orders/${orderId}`),
    timeline: async (orderId: string): Promise<TimelineEntry[]> =>
      (await request(timeline, 'GET', `${urls.orders}/orders/${orderId}/timeline`)).entries,
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
    charges: async () => (await request(charges, 'GET', `${urls.gateway}/ledger`)).charges,
  }
}
export type Api = ReturnType<typeof createApi>

async function request<Answer>(
  schema: z.ZodType<Answer>,
  method: string,
  url: string,
  options: { body?: unknown; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const hasBody = options.body !== undefined
  const response = await fetch(url, {
    method,
    headers: { ...(hasBody && { 'content-type': 'application/json' }), ...options.headers },
    ...(hasBody && { body: JSON.stringify(options.body) }),
    signal: AbortSignal.timeout(10_000),
  })
  const text = await response.text()
  if (!response.ok) throw new UnexpectedAnswer(`${method} ${url}`, response.status, text)
  return schema.parse(JSON.parse(text))
}
