import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Api, NewOrder, Order, TimelineEntry } from './api.ts'

/** What a scenario may use: the system's HTTP, and a way to show what happens. */
export interface ScenarioContext {
  api: Api
  /** Shows a line to whoever watches. */
  tell: (line: string) => void
}

/** A story of one or more orders, with what must have come of it. */
export interface Scenario {
  name: string
  title: string
  /** @throws Error that says what was expected and what came */
  run(context: ScenarioContext): Promise<void>
}

const price = 1999

/** Every story, in the order of the demo. The full-stack tests run the same. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'happy-path',
    title: 'Happy path: two products, reserved, paid, confirmed, shipped',
    run: async (context) => {
      const [cup, pot] = [await product(context, 10), await product(context, 10)]
      const order = await place(context, 'tok_ok', [
        { sku: pot, quantity: 1 },
        { sku: cup, quantity: 2 },
      ])
      await follow(context, order, 'confirmed')
      await untilEqual('stock that is left', 8, async () => (await context.api.stock(cup)).onHand)
    },
  },
  {
    name: 'out-of-stock',
    title: 'Out of stock: of two products one is missing, so none is reserved and nothing charged',
    run: async (context) => {
      const [some, none] = [await product(context, 5), await product(context, 0)]
      const order = await place(context, 'tok_ok', [
        { sku: some, quantity: 1 },
        { sku: none, quantity: 1 },
      ])
      await follow(context, order, 'cancelled', 'out-of-stock')
      expectEqual('reserved stock', 0, (await context.api.stock(some)).reserved)
      await expectCharges(context, order, { captured: 0, kept: 0 })
    },
  },
  {
    name: 'declined-card',
    title: 'Declined card: the stock that was set aside goes back',
    run: async (context) => {
      const sku = await product(context, 5)
      const order = await place(context, 'tok_declined', [{ sku, quantity: 3 }])
      await follow(context, order, 'cancelled', 'payment-declined')
      const { available, reserved } = await context.api.stock(sku)
      expectEqual('available stock', 5, available)
      expectEqual('reserved stock', 0, reserved)
    },
  },
  {
    name: 'cancel',
    title: 'Cancelled by the customer while the gateway is slow: money first, then stock goes back',
    run: async (context) => {
      const sku = await product(context, 5)
      const order = await place(context, 'tok_slow', [{ sku, quantity: 2 }])
      const paymentStatus = async (): Promise<string> =>
        (await context.api.payments(order.orderId))[0]?.status ?? 'none'
      await untilEqual('status of the payment', 'requested', paymentStatus)
      await context.api.cancelOrder(order.orderId)
      await follow(context, order, 'cancelled', 'customer-request')
      expectEqual('available stock', 5, (await context.api.stock(sku)).available)
      await expectCharges(context, order, { kept: 0 })
    },
  },
  {
    name: 'gateway-timeout',
    title: 'Gateway times out after it charged: asked again with the same key, charged once',
    run: async (context) => {
      const sku = await product(context, 5)
      const order = await place(context, 'tok_timeout_after_charge', [{ sku, quantity: 1 }])
      await follow(context, order, 'confirmed')
      await expectCharges(context, order, { captured: 1, kept: price })
    },
  },
  {
    name: 'last-unit',
    title: 'The last unit, wanted by fifty orders: one is confirmed',
    run: async (context) => {
      const sku = await product(context, 1)
      const orders = await Promise.all(
        Array.from({ length: 50 }, () => place(context, 'tok_ok', [{ sku, quantity: 1 }], false)),
      )
      const ended = await Promise.all(orders.map((order) => untilEnded(context, order.orderId)))
      const confirmed = ended.filter((order) => order.status === 'confirmed')
      context.tell(`${confirmed.length} confirmed, ${ended.length - confirmed.length} cancelled`)
      expectEqual('confirmed orders', 1, confirmed.length)
      await untilEqual('stock that is left', 0, async () => (await context.api.stock(sku)).onHand)
    },
  },
]

/** Makes a product with a price and so much stock; gives its SKU. */
async function product({ api }: ScenarioContext, quantity: number): Promise<string> {
  const sku = `demo-${randomBytes(4).toString('hex')}`
  await api.putProduct(sku, price)
  if (quantity > 0) await api.receiveStock(sku, quantity)
  return sku
}

async function place(
  { api, tell }: ScenarioContext,
  paymentToken: string,
  lines: NewOrder['lines'],
  show = true,
): Promise<Order> {
  const order = await api.placeOrder({ customerId: 'ada', currency: 'EUR', lines, paymentToken })
  if (show) tell(`POST /orders → 202, order ${order.orderId}`)
  return order
}

/** Shows the timeline of an order as it grows, until the order has ended as it should. */
async function follow(
  context: ScenarioContext,
  order: Order,
  status: Order['status'],
  reason: string | null = null,
): Promise<void> {
  const placedAt = Date.parse(order.placedAt)
  let shown = 0
  const showNew = (entries: readonly TimelineEntry[]): void => {
    for (const entry of entries.slice(shown)) {
      const after = `+${Math.max(0, Date.parse(entry.at) - placedAt)} ms`
      context.tell(`${after.padStart(9)}  ${entry.type.padEnd(22)} ${entry.source}`)
    }
    shown = entries.length
  }
  const ended = await untilEnded(context, order.orderId, async () => {
    showNew(await context.api.timeline(order.orderId))
  })
  showNew(await context.api.timeline(order.orderId))
  context.tell(`${ended.status}${ended.cancelReason ? ` (${ended.cancelReason})` : ''}`)
  expectEqual('status of the order', status, ended.status)
  expectEqual('reason of the cancellation', reason, ended.cancelReason)
}

async function untilEnded(
  { api }: ScenarioContext,
  orderId: string,
  onPoll: () => Promise<void> = () => Promise.resolve(),
): Promise<Order> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const order = await api.order(orderId)
    if (order.status === 'confirmed' || order.status === 'cancelled') return order
    if (Date.now() > deadline)
      throw new Error(`order ${orderId} is still ${order.status} after 60 s`)
    await onPoll()
    await sleep(25)
  }
}

async function expectCharges(
  { api, tell }: ScenarioContext,
  order: Order,
  expected: { captured?: number; kept: number },
): Promise<void> {
  const charges = (await api.charges()).filter((charge) => charge.key.includes(order.orderId))
  const kept = charges.reduce(
    (sum, charge) =>
      charge.status === 'captured' || charge.status === 'refunded'
        ? sum + charge.amountMinor - charge.refundedMinor
        : sum,
    0,
  )
  tell(
    `gateway: ${charges.map((charge) => charge.status).join(', ') || 'never asked'}, keeps ${kept}`,
  )
  expectEqual('money that the gateway keeps', expected.kept, kept)
  if (expected.captured !== undefined) {
    const captured = charges.filter((charge) => charge.status === 'captured').length
    expectEqual('charges at the gateway', expected.captured, captured)
  }
}

function expectEqual<Value extends string | number | null>(
  what: string,
  expected: Value,
  actual: Value,
): void {
  if (expected !== actual) throw new Error(`${what}: expected ${expected}, got ${actual}`)
}

async function untilEqual<Value extends string | number>(
  what: string,
  expected: Value,
  read: () => Promise<Value>,
): Promise<void> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const actual = await read()
    if (actual === expected) return
    if (Date.now() > deadline) throw new Error(`${what}: expected ${expected}, still ${actual}`)
    await sleep(25)
  }
}
