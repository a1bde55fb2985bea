import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { command, type Context } from './command.ts'
import { CommandFailed, WrongUse } from './failures.ts'
import { withNext } from './letters.ts'
import {
  choice,
  count,
  descriptions,
  flag,
  paging,
  requiredText,
  requiredTexts,
  text,
} from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatSection, formatTable } from './table.ts'
import { readTimeline, timelineTable, watchOrder } from './watch-order.ts'

const orderView = z.looseObject({
  orderId: z.string(),
  customerId: z.string(),
  status: z.string(),
  coordination: z.string(),
  priority: z.string(),
  currency: z.string(),
  amountMinor: z.int(),
  lines: z.array(z.looseObject({ sku: z.string(), quantity: z.int(), unitPriceMinor: z.int() })),
  cancelReason: z.string().nullable(),
  placedAt: z.string(),
  dueAt: z.string(),
  endedAt: z.string().nullable(),
})
type OrderView = z.infer<typeof orderView>
const ordersPage = z.looseObject({ orders: z.array(orderView), nextCursor: z.string().nullable() })

const theOrder = { order: requiredText('ORDER', 'the id of the order') }
const watchSecondsDefault = 300

/** As order-service takes it, of what a header can carry. */
const idempotencyKey = z
  .string()
  .regex(
    /^[\x20-\x7e\xa0-\xac\xae-\xff]{1,200}$/,
    'expected 1 to 200 printable characters of Latin-1',
  )
  .optional()
  .register(descriptions, {
    summary: 'the Idempotency-Key; made and shown when it is left out',
    placeholder: 'KEY',
  })

const place = command({
  name: 'orders place',
  summary: 'places an order',
  details:
    'Each line is SKU or SKU=QUANTITY. Sent again with the same --key it gives the same answer, and never a second order.',
  args: { lines: requiredTexts('SKU=QUANTITY', 'what is ordered') },
  options: {
    customer: requiredText('NAME', 'the customer'),
    currency: text('CODE', 'default EUR'),
    token: text('TOKEN', 'the payment token; default tok_ok, which the sandbox gateway accepts'),
    coordination: choice(
      ['orchestrated', 'choreographed'],
      'who conducts it; default orchestrated',
    ),
    priority: choice(
      ['standard', 'express'],
      'default standard; express overtakes standard orders, orchestrated ones only',
    ),
    key: idempotencyKey,
    watch: flag('shows what happens until the order has ended'),
  },
  run: async (context, { lines }, options) => {
    const { customer, currency = 'EUR', token = 'tok_ok', coordination, priority } = options
    const { key = randomUUID(), watch } = options
    const body = {
      customerId: customer,
      currency,
      lines: lines.map(lineOf),
      paymentToken: token,
      ...(coordination !== undefined && { coordination }),
      ...(priority !== undefined && { priority }),
    }
    const answer = await placeUnder(context, key, body)
    if (!watch) return { document: answer.document, text: describeOrder(answer.body) }
    context.tell(describeOrder(answer.body))
    return await watchOrder(context, answer.body.orderId, watchSecondsDefault * 1000)
  },
})

const show = command({
  name: 'orders show',
  summary: 'one order and what happened to it',
  args: theOrder,
  run: async (context, { order }) => {
    const [found, timeline] = await Promise.all([
      context.client('order-service').request(orderView, 'GET', pathOf`/orders/${order}`),
      readTimeline(context, order),
    ])
    return {
      document: { order: found.document, timeline: timeline.document },
      text:
        describeOrder(found.body) + formatSection('timeline', timelineTable(timeline.body.entries)),
    }
  },
})

const list = command({
  name: 'orders list',
  summary: 'orders, the newest first',
  options: {
    status: choice(['pending', 'cancelling', 'confirmed', 'cancelled'], 'only those'),
    customer: text('NAME', 'of this customer'),
    ...paging,
  },
  run: async ({ client, terminal }, _, query) => {
    const { body, document } = await client('order-service').request(ordersPage, 'GET', '/orders', {
      query,
    })
    const table = formatTable(
      body.orders,
      [
        ['ORDER', (order) => order.orderId],
        ['STATUS', (order) => order.status],
        ['AGE', (order) => age(order.placedAt)],
        ['STYLE', (order) => order.coordination],
        ['AMOUNT', amountOf],
        ['REASON', (order) => order.cancelReason],
        ['CUSTOMER', (order) => order.customerId],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.orders.length === 0 ? 'no orders' : withNext(table, body.nextCursor),
    }
  },
})

const watch = command({
  name: 'orders watch',
  summary: 'shows what happens to an order until it has ended',
  args: theOrder,
  options: { timeout: count('SECONDS', `gives up after so long; default ${watchSecondsDefault}`) },
  run: (context, { order }, { timeout = watchSecondsDefault }) =>
    watchOrder(context, order, timeout * 1000),
})

const cancel = command({
  name: 'orders cancel',
  summary: 'starts to cancel a pending order',
  args: theOrder,
  run: async ({ client }, { order }) => {
    const { body, document } = await client('order-service').request(
      orderView,
      'POST',
      pathOf`/orders/${order}/cancel`,
    )
    return { document, text: describeOrder(body) }
  },
})

/** Commands of orders. */
export const orderCommands = [place, show, list, watch, cancel]

/** What fails here may have been done: the key lets it be asked again. */
async function placeUnder({ client, terminal }: Context, key: string, body: object) {
  const orderService = client('order-service')
  terminal.err(`Idempotency-Key: ${key}\n`)
  try {
    return await orderService.request(orderView, 'POST', '/orders', {
      headers: { 'idempotency-key': key },
      body,
    })
  } catch (error) {
    const refused =
      error instanceof CommandFailed && error.problem !== undefined && error.problem.status < 500
    if (refused || !(error instanceof CommandFailed)) throw error
    throw new CommandFailed(
      `${error.message}\nWhether the order was placed is not known: the same command with --key ${key} finds out.`,
      error.problem,
    )
  }
}

/** `espresso-cup=2`; one when no number is said. */
function lineOf(given: string): { sku: string; quantity: number } {
  const [, sku = '', quantity = '1'] = /^(.+?)(?:=(\d{1,7}))?$/.exec(given) ?? []
  if (sku === '' || sku.includes('=') || Number(quantity) === 0) {
    throw new WrongUse(
      `expected SKU=QUANTITY such as espresso-cup=2, found ${given}`,
      'orders place',
    )
  }
  return { sku, quantity: Number(quantity) }
}

function amountOf({ amountMinor, currency }: OrderView): string {
  return `${(amountMinor / 100).toFixed(2)} ${currency}`
}

function describeOrder(order: OrderView): string {
  return formatFields([
    ['order', order.orderId],
    ['status', order.status],
    ['reason', order.cancelReason],
    ['customer', order.customerId],
    ['style', order.coordination],
    ['priority', order.priority],
    ['lines', order.lines.map(({ sku, quantity }) => `${quantity} × ${sku}`).join(', ')],
    ['amount', amountOf(order)],
    ['placed', order.placedAt],
    ['due', order.endedAt === null ? order.dueAt : null],
    ['ended', order.endedAt],
  ])
}
