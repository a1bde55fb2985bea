import { isDeepStrictEqual } from 'node:util'
import type { NewOrder, Order } from './api.ts'
import { poisonMessage } from './poison-message.ts'
import {
  type Cast,
  type Ending,
  follow,
  hasEnded,
  makeProduct,
  paymentStatus,
  place,
  placeAndCancel,
  priceMinor,
  readEnding,
  retrySaga,
  type ScenarioContext,
  untilAllEnded,
  untilEqual,
  watchTimeline,
} from './story.ts'
import { toldCustomers } from './told-customers.ts'

/** A story of one or more orders, with what must come of it: in both styles the same. */
export interface Scenario {
  name: string
  title: string
  /** False for those that only the tests run. */
  inDemo: boolean
  ending: Ending
  /** @throws Error that says what was expected and what came */
  run(context: ScenarioContext): Promise<Cast>
}

/**
 * Runs a scenario in one style to its end.
 * @throws Error when it did not end as it must
 */
export async function runScenario(scenario: Scenario, context: ScenarioContext): Promise<Ending> {
  const cast = await scenario.run(context)
  const ending = await readEnding(context, cast)
  if (cast.orders.length > 1) {
    const counts = Object.entries(ending.orders).map(([how, count]) => `${count} × ${how}`)
    context.tell(`→ ${counts.join(', ')}`)
  }
  const kept = `gateway: ${listed(ending.charges, 'never asked')}, keeps ${ending.keptMinor}`
  context.tell(`${kept}; on hand: ${ending.onHand.join(', ')}`)
  if (!isDeepStrictEqual(ending, scenario.ending)) {
    const [expected, actual] = [JSON.stringify(scenario.ending), JSON.stringify(ending)]
    throw new Error(`${context.coordination}: expected ${expected}, got ${actual}`)
  }
  return ending
}

/** Every story, in the order of the demo. The full-stack tests run the same. */
export const scenarios: readonly Scenario[] = [
  {
    name: 'happy-path',
    title: 'Happy path: two products, reserved, paid, confirmed, shipped',
    inDemo: true,
    ending: {
      orders: { confirmed: 1 },
      charges: { captured: 1 },
      keptMinor: 3 * priceMinor,
      onHand: [9, 8],
    },
    run: async (context) => {
      const [pot, cup] = [await makeProduct(context, 10), await makeProduct(context, 10)]
      const order = await place(context, 'tok_ok', [
        { sku: pot, quantity: 1 },
        { sku: cup, quantity: 2 },
      ])
      await follow(context, order)
      return { orders: [order], skus: [pot, cup] }
    },
  },
  {
    name: 'out-of-stock',
    title: 'Out of stock: of two products one is missing, so none is reserved and nothing charged',
    inDemo: true,
    ending: { orders: { 'cancelled: out-of-stock': 1 }, charges: {}, keptMinor: 0, onHand: [5] },
    run: async (context) => {
      const [some, none] = [await makeProduct(context, 5), await makeProduct(context, 0)]
      const order = await place(context, 'tok_ok', [
        { sku: some, quantity: 1 },
        { sku: none, quantity: 1 },
      ])
      await follow(context, order)
      return { orders: [order], skus: [some] }
    },
  },
  {
    name: 'declined-card',
    title: 'Declined card: the stock that was set aside goes back',
    inDemo: true,
    ending: {
      orders: { 'cancelled: payment-declined': 1 },
      charges: { declined: 1 },
      keptMinor: 0,
      onHand: [5],
    },
    run: (context) => oneOrder(context, 'tok_declined', 3),
  },
  {
    name: 'cancel',
    title: 'Cancelled by the customer while the card is being charged: undone in reverse order',
    inDemo: true,
    ending: {
      orders: { 'cancelled: customer-request': 1 },
      charges: { refunded: 1 },
      keptMinor: 0,
      onHand: [5],
    },
    run: async (context) => {
      const sku = await makeProduct(context, 5)
      const order = await placeAndCancel(context, 'tok_slow', [{ sku, quantity: 2 }])
      await follow(context, order)
      return { orders: [order], skus: [sku] }
    },
  },
  {
    name: 'gateway-timeout',
    title: 'Gateway times out after it charged: asked again with the same key, charged once',
    inDemo: true,
    ending: {
      orders: { confirmed: 1 },
      charges: { captured: 1 },
      keptMinor: priceMinor,
      onHand: [4],
    },
    run: (context) => oneOrder(context, 'tok_timeout_after_charge', 1),
  },
  {
    name: 'gateway-5xx',
    title: 'Gateway answers 500 and 503 before it charges: asked again, charged once',
    inDemo: false,
    ending: {
      orders: { confirmed: 1 },
      charges: { captured: 1 },
      keptMinor: 2 * priceMinor,
      onHand: [3],
    },
    run: (context) => oneOrder(context, 'tok_5xx_twice', 2),
  },
  {
    name: 'cancel-unknown-charge',
    title:
      'Cancelled after a charge whose answer was lost: voided by its key, so the money goes back',
    inDemo: false,
    ending: {
      orders: { 'cancelled: customer-request': 1 },
      charges: { refunded: 1 },
      keptMinor: 0,
      onHand: [5],
    },
    run: async (context) => {
      const sku = await makeProduct(context, 5)
      const order = await place(context, 'tok_timeout_after_charge', [{ sku, quantity: 1 }])
      const charged = async (): Promise<string> =>
        (await context.api.charge(order.orderId))?.status ?? 'none'
      await untilEqual('the charge at the gateway', 'captured', charged)
      await context.api.cancelOrder(order.orderId)
      await follow(context, order)
      return { orders: [order], skus: [sku] }
    },
  },
  {
    name: 'opposite-lines',
    title: 'Forty orders of the same two products, half of them with the lines the other way round',
    inDemo: false,
    ending: {
      orders: { confirmed: 40 },
      charges: { captured: 40 },
      keptMinor: 120 * priceMinor,
      onHand: [60, 20],
    },
    run: async (context) => {
      const [one, two] = [await makeProduct(context, 100), await makeProduct(context, 100)]
      const lines = [
        { sku: one, quantity: 1 },
        { sku: two, quantity: 2 },
      ]
      const orders = await placeMany(context, 40, (index) =>
        index % 2 === 0 ? lines : lines.toReversed(),
      )
      return { orders, skus: [one, two] }
    },
  },
  {
    name: 'last-unit',
    title: 'The last unit, wanted by fifty orders: one is confirmed',
    inDemo: true,
    ending: {
      orders: { 'cancelled: out-of-stock': 49, confirmed: 1 },
      charges: { captured: 1 },
      keptMinor: priceMinor,
      onHand: [0],
    },
    run: async (context) => {
      const sku = await makeProduct(context, 1)
      const orders = await placeMany(context, 50, () => [{ sku, quantity: 1 }])
      return { orders, skus: [sku] }
    },
  },
  {
    name: 'refund-fails',
    title:
      'A refund that the bank refuses: nothing after it is undone until a person has repaired it',
    inDemo: true,
    ending: {
      orders: { 'cancelled: customer-request': 1 },
      charges: { refunded: 1 },
      keptMinor: 0,
      onHand: [5],
    },
    run: async (context) => {
      const sku = await makeProduct(context, 5)
      const order = await placeAndCancel(context, 'tok_refund_fails', [{ sku, quantity: 2 }])
      await throughFailedRefund(context, order, sku)
      return { orders: [order], skus: [sku] }
    },
  },
  {
    name: 'poison-message',
    title: 'A message that nobody can read: dead letter, alert, edited, sent back, resolved',
    inDemo: true,
    ending: {
      orders: { confirmed: 1 },
      charges: { captured: 1 },
      keptMinor: 2 * priceMinor,
      onHand: [3],
    },
    run: poisonMessage,
  },
  {
    name: 'told-customers',
    title: 'What customers are told: at once, later, first of all, and after a dead job',
    inDemo: true,
    ending: {
      orders: { confirmed: 2, 'cancelled: out-of-stock': 1 },
      charges: { captured: 2 },
      keptMinor: 2 * priceMinor,
      onHand: [8],
    },
    run: toldCustomers,
  },
]

async function oneOrder(
  context: ScenarioContext,
  paymentToken: string,
  quantity: number,
): Promise<Cast> {
  const sku = await makeProduct(context, 5)
  const order = await place(context, paymentToken, [{ sku, quantity }])
  await follow(context, order)
  return { orders: [order], skus: [sku] }
}

/** Places many orders at once and waits until all have ended. */
async function placeMany(
  context: ScenarioContext,
  count: number,
  linesOf: (index: number) => NewOrder['lines'],
): Promise<Order[]> {
  context.tell(`${count} times POST /orders at once`)
  const orders = await Promise.all(
    Array.from({ length: count }, (_, index) => place(context, 'tok_ok', linesOf(index), false)),
  )
  await untilAllEnded(context, orders)

  return orders
}

/**
 * From the refused refund to the end. Choreographed, the payment-service goes on asking by itself; orchestrated, the saga
 * waits for a person, who lets it send the command again.
 */
async function throughFailedRefund(
  context: ScenarioContext,
  order: Order,
  sku: string,
): Promise<void> {
  const { api, tell, coordination } = context
  const timeline = watchTimeline(context, order)
  const isOrchestrated = coordination === 'orchestrated'
  await timeline.until(async () => {
    const failed = (await paymentStatus(context, order)) === 'refund_failed'
    return failed && (!isOrchestrated || (await sagaStatus(context, order)) === 'needs_human')
  })
  tell(
    `people see it: GET ${isOrchestrated ? '/sagas?status=needs_human' : '/payments?status=refund_failed'}`,
  )
  expectEqual('stock that is still set aside', 2, (await api.stock(sku)).reserved)
  expectEqual('status of the order', 'cancelling', (await api.order(order.orderId)).status)
  tell('the charge is repaired at the gateway')
  await api.repairCharge(order.orderId)
  if (isOrchestrated) await retrySaga(context, order)
  await timeline.until(hasEnded)
  if (isOrchestrated) {
    expectEqual('status of the saga', 'compensated', await sagaStatus(context, order))
  }
}

async function sagaStatus({ api }: ScenarioContext, order: Order): Promise<string> {
  return (await api.saga(order.orderId)).saga.status
}

function listed(counts: Readonly<Record<string, number>>, ofNone: string): string {
  const all = Object.entries(counts).map(([name, count]) =>
    count === 1 ? name : `${count} × ${name}`,
  )
  return all.join(', ') || ofNone
}

function expectEqual<Value extends string | number>(
  what: string,
  expected: Value,
  actual: Value,
): void {
  if (expected !== actual) throw new Error(`${what}: expected ${expected}, got ${actual}`)
}
