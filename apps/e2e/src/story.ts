import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Api, type Coordination, type NewOrder, type Order, type SagaLogEntry } from './api.ts'
import { UnexpectedAnswer } from './http-client.ts'

/** What a scenario may use: the system's HTTP, the style of its orders, and a way to show what happens. */
export interface ScenarioContext {
  api: Api
  coordination: Coordination
  /** Where dlq-alerter answers. */
  deadLettersUrl: string
  /** Where notification-service answers, and where the mail sandbox shows its e-mails. */
  notificationsUrl: string
  mailsUrl: string
  /** The database of order-service, as administrator: for what only a bug could do. */
  ordersDatabaseUrl: string
  /** Shows a line to whoever watches. */
  tell: (line: string) => void
}

/** The orders of a scenario, and the products that they were for. */
export interface Cast {
  orders: readonly Order[]
  skus: readonly string[]
}

/** What came of a scenario, without ids and times: the same in both styles. */
export interface Ending {
  /** How many orders ended as `confirmed`, or as `cancelled: reason`. */
  orders: Readonly<Record<string, number>>
  /** What the provider says of their charges, by status; orders that it was never asked for are not in it. */
  charges: Readonly<Record<string, number>>
  /** Money that the provider keeps. */
  keptMinor: number
  /** What is left of each product when everything is shipped or back. */
  onHand: readonly number[]
}

/** What every product of the stories costs. */
export const priceMinor = 1999

/** Makes a product with a price and so much stock; gives its SKU. */
export async function makeProduct({ api }: ScenarioContext, quantity: number): Promise<string> {
  const sku = `demo-${randomBytes(4).toString('hex')}`
  await api.putProduct(sku, priceMinor)
  if (quantity > 0) await api.receiveStock(sku, quantity)
  return sku
}

/** Places an order. */
export async function place(
  { api, tell, coordination }: ScenarioContext,
  paymentToken: string,
  lines: NewOrder['lines'],
  show = true,
): Promise<Order> {
  const body = { customerId: 'ada', currency: 'EUR', lines, paymentToken, coordination }
  const order = await api.placeOrder(body)
  if (show) tell(`POST /orders → 202, order ${order.orderId.slice(-12)}`)
  return order
}

/** Places an order and cancels it while its card is being charged. */
export async function placeAndCancel(
  context: ScenarioContext,
  paymentToken: 'tok_slow' | 'tok_refund_fails',
  lines: NewOrder['lines'],
): Promise<Order> {
  const order = await place(context, paymentToken, lines)
  await untilEqual('status of the payment', 'requested', () => paymentStatus(context, order))
  await context.api.cancelOrder(order.orderId)
  return order
}

/** Where the payment of an order has come to. */
export async function paymentStatus(
  { api }: Pick<ScenarioContext, 'api'>,
  { orderId }: Order,
): Promise<string> {
  return (await api.payments(orderId))[0]?.status ?? 'none'
}

/**
 * Lets a saga that needs a person send its command again. It goes on by itself meanwhile, so it may have changed since it was
 * read (412), and then is read again.
 */
export async function retrySaga({ api, tell }: ScenarioContext, order: Order): Promise<void> {
  for (;;) {
    const { saga, etag } = await api.saga(order.orderId)
    if (saga.status !== 'needs_human') return
    try {
      const why = { actor: 'grace', reason: 'repaired at the gateway' }
      await api.intervene(order.orderId, 'retry', { ifMatch: etag, ...why })
      tell(`POST /sagas/:id/retry, If-Match: ${etag}`)
      return
    } catch (error) {
      if (!(error instanceof UnexpectedAnswer && error.status === 412)) throw error
    }
  }
}

/** Shows the timeline of an order as it grows, until the order has ended. */
export async function follow(context: ScenarioContext, order: Order): Promise<void> {
  await watchTimeline(context, order).until(hasEnded)
}

/**
 * Shows what happens to an order, each entry once, as it grows: the messages that the order-service saw; of an orchestrated order
 * the log of its saga, where a command stands beside the answer that led to it.
 */
export interface TimelineWatch {
  /** Goes on until the order has come to where it is to be shown. */
  until(isReached: (order: Order) => boolean | Promise<boolean>): Promise<void>
}

/** Makes a watch that has shown nothing yet. */
export function watchTimeline(context: ScenarioContext, order: Order): TimelineWatch {
  const placedAt = Date.parse(order.placedAt)
  let shown = 0
  const showNew = async (): Promise<void> => {
    const lines = await readLines(context, order)
    for (const { at, text } of lines.slice(shown)) {
      const after = `+${Math.max(0, Date.parse(at) - placedAt)} ms`
      context.tell(`${after.padStart(9)}  ${text}`)
    }
    shown = lines.length
  }
  return {
    until: async (isReached) => {
      const reached = await untilOrder(context, order.orderId, async (now) => {
        await showNew()
        return isReached(now)
      })
      await showNew()
      const reason = reached.cancelReason === null ? '' : ` (${reached.cancelReason})`
      context.tell(`→ ${reached.status}${reason}`)
    },
  }
}

/** Waits until orders have ended, without showing how. */
export async function untilAllEnded(
  context: ScenarioContext,
  orders: readonly Order[],
): Promise<void> {
  await Promise.all(orders.map((order) => untilOrder(context, order.orderId, hasEnded)))
}

/**
 * What came of the orders of a scenario, once what was confirmed is shipped.
 * @throws Error when stock is still set aside after half a minute
 */
export async function readEnding(
  { api }: Pick<ScenarioContext, 'api'>,
  { orders, skus }: Cast,
): Promise<Ending> {
  for (const sku of skus) {
    await untilEqual(`stock set aside of ${sku}`, 0, async () => (await api.stock(sku)).reserved)
  }
  const ended = await Promise.all(orders.map((order) => api.order(order.orderId)))
  const charges = (await Promise.all(orders.map((order) => api.charge(order.orderId)))).filter(
    (charge) => charge !== undefined,
  )
  const kept = charges.filter((charge) => charge.status === 'captured' || charge.refundedMinor > 0)
  return {
    orders: countBy(ended, ({ status, cancelReason }) =>
      cancelReason === null ? status : `${status}: ${cancelReason}`,
    ),
    charges: countBy(charges, (charge) => charge.status),
    keptMinor: kept.reduce((sum, one) => sum + one.amountMinor - one.refundedMinor, 0),
    onHand: await Promise.all(skus.map(async (sku) => (await api.stock(sku)).onHand)),
  }
}

/** Waits until something has the value that it must come to. */
export async function untilEqual<Value extends string | number>(
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

/** Counts what a list holds, by name, in the order of the names. */
export function countBy<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
): Record<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1)
  return Object.fromEntries([...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

/** Confirmed or cancelled. */
export function hasEnded({ status }: Order): boolean {
  return status === 'confirmed' || status === 'cancelled'
}

async function untilOrder(
  { api }: ScenarioContext,
  orderId: string,
  isReached: (order: Order) => boolean | Promise<boolean>,
): Promise<Order> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const order = await api.order(orderId)
    if (await isReached(order)) return order
    if (Date.now() > deadline) throw new Error(`order ${orderId} is ${order.status} after 60 s`)
    await sleep(25)
  }
}

interface Line {
  at: string
  text: string
}

async function readLines(
  { api, coordination }: ScenarioContext,
  { orderId }: Order,
): Promise<Line[]> {
  if (coordination === 'orchestrated') {
    return (await api.saga(orderId)).saga.log.map((entry) => ({ at: entry.at, text: told(entry) }))
  }
  const entries = await api.timeline(orderId)
  return entries.map(({ at, type, source }) => ({ at, text: `${type.padEnd(22)} ${source}` }))
}

/** An entry of a saga's log: what came, and what was done about it. */
function told({ input, effects, note }: SagaLogEntry): string {
  const done = effects.map((effect) => {
    switch (effect.kind) {
      case 'command':
        return `send ${String(effect['command'])}`
      case 'local':
        return `do ${String(effect['action'])}`
      case 'turned':
        return 'turn back'
      case 'ended':
        return String(effect['status'])
      default:
        return effect.kind
    }
  })
  return `${came(input).padEnd(18)} ${done.length > 0 ? `→ ${done.join(', ')}` : `(${note})`}`
}

function came(input: SagaLogEntry['input']): string {
  switch (input.kind) {
    case 'reply': {
      const undo = input['direction'] === 'undo' ? 'undo ' : ''
      return `${undo}${String(input['step'])}: ${String(input['outcome'])}`
    }
    case 'operator':
      return `operator: ${String(input['verb'])}`
    default:
      return input.kind
  }
}
