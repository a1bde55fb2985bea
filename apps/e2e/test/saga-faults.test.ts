import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Api, coordinations, createApi, type Order } from '../src/api.ts'
import { UnexpectedAnswer } from '../src/http-client.ts'
import { cancelIfOpen } from '../src/load.ts'
import { formatBooks, readBooks, settleBooks } from '../src/books.ts'
import {
  makeProduct,
  place,
  placeAndCancel,
  readEnding,
  retrySaga,
  type ScenarioContext,
  untilAllEnded,
  untilEqual,
} from '../src/story.ts'
import { sceneOf, serviceUrls } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

// Far beyond the five seconds after which a command is sent again, and what an order takes on a machine that is busy otherwise.
const deadlineMs = 20_000

let system: System
let api: Api

beforeAll(async () => {
  system = await startSystem(`saga-faults-${process.pid}`, {
    'order-service': { ORDER_DEADLINE_MS: String(deadlineMs) },
    // A refused refund does not heal by itself while a test looks at it.
    'payment-service': { REFUND_RETRY_BASE_MS: '600000', REFUND_RETRY_CAP_MS: '600000' },
  })
  api = createApi(serviceUrls(system))
})

afterAll(async () => {
  try {
    const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
    expect(books.balanced, formatBooks(books)).toBe(true)
  } finally {
    await system.stop()
  }
})

function contextOf(coordination: ScenarioContext['coordination']): ScenarioContext {
  return { ...sceneOf(system), api, coordination, tell: () => undefined }
}

const orchestrated = (): ScenarioContext => contextOf('orchestrated')

it('a consumer beside them that is down delays no order, and counts them all when it is back', async () => {
  const context = orchestrated()
  const sku = await makeProduct(context, 3)
  await system.apps['order-statistics'].stop()
  const order = await place(context, 'tok_ok', [{ sku, quantity: 1 }])
  await untilAllEnded(context, [order])
  const behind = await readBooks(system.databases, system.gatewayUrl)
  const confirmed = behind.lines.find(({ name }) => name === 'statistics: confirmed = orders')
  expect(confirmed?.actual).toBe((confirmed?.expected ?? 0) - 1)
  await startAgain('order-statistics')
  const books = await settleBooks(system.databases, system.gatewayUrl, 60_000)
  expect(books.balanced, formatBooks(books)).toBe(true)
})

describe('a participant that is down', () => {
  it.each(coordinations)(
    'finds the cancel of an order beside its command, and charges nothing or gives it back: %s',
    async (coordination) => {
      const context = contextOf(coordination)
      const sku = await makeProduct(context, 3)
      await system.apps['payment-service'].stop()
      const order = await place(context, 'tok_ok', [{ sku, quantity: 1 }])
      await untilEqual('reserved', 1, async () => (await api.stock(sku)).reserved)
      await api.cancelOrder(order.orderId)
      await startAgain('payment-service')
      await untilAllEnded(context, [order])
      const ending = await readEnding(context, { orders: [order], skus: [sku] })
      expect(ending).toMatchObject({
        orders: { 'cancelled: customer-request': 1 },
        keptMinor: 0,
        onHand: [3],
      })
    },
  )

  it('is asked again and nothing is undone until the deadline; then the saga is compensated', async () => {
    const context = orchestrated()
    const sku = await makeProduct(context, 3)
    await system.apps['payment-service'].stop()
    const order = await place(context, 'tok_ok', [{ sku, quantity: 1 }])
    const asked = await untilSaga(order, ({ attempt }) => (attempt ?? 0) >= 2)
    expect(asked.saga).toMatchObject({ status: 'running', step: 'charge' })
    expect(Date.now() - Date.parse(order.placedAt), 'before the deadline').toBeLessThan(deadlineMs)
    await untilSaga(order, ({ status }) => status === 'compensating')
    expect(Date.now() - Date.parse(order.placedAt)).toBeGreaterThanOrEqual(deadlineMs)
    expect(await api.order(order.orderId)).toMatchObject({ status: 'cancelling' })
    await startAgain('payment-service')
    await untilSaga(order, ({ status }) => status === 'compensated')
    const ending = await readEnding(context, { orders: [order], skus: [sku] })
    expect(ending).toMatchObject({
      orders: { 'cancelled: deadline-passed': 1 },
      keptMinor: 0,
      onHand: [3],
    })
  })
})

describe('two order-services', () => {
  it('drive the same sagas and answer for each other', async () => {
    const second = await system.replica('order-service')
    second.start()
    await second.ready()
    const apis = [api, createApi({ ...serviceUrls(system), orders: second.url })]
    const context = orchestrated()
    const sku = await makeProduct(context, 100)
    let cancelled = 0
    const orders = await Promise.all(
      Array.from({ length: 60 }, async (_, index) => {
        const [mine, other] = index % 2 === 0 ? apis : apis.toReversed()
        if (!mine || !other) throw new Error('there are two')
        const token = index % 3 === 0 ? 'tok_slow' : 'tok_ok'
        const lines = [{ sku, quantity: 1 }]
        const order = await place({ ...context, api: mine }, token, lines)
        if (token === 'tok_slow' && (await cancelIfOpen(other, order.orderId))) cancelled += 1
        return order
      }),
    )
    await untilAllEnded(context, orders)
    const ending = await readEnding(context, { orders, skus: [sku] })
    // A machine that is busy otherwise may take longer to cancel than the gateway to charge; most are in time.
    expect(cancelled).toBeGreaterThan(10)
    expect(ending.orders).toEqual({
      'cancelled: customer-request': cancelled,
      confirmed: 60 - cancelled,
    })
    expect(ending.onHand).toEqual([40 + cancelled])
    expect(await second.stop(), 'exit code').toBe(0)
  })
})

describe('a refund that fails for good', () => {
  it('waits for a person, undoes nothing after it, and is compensated by a retry once it is repaired', async () => {
    const context = orchestrated()
    const { order, sku } = await failedRefund(context)
    const { saga, etag } = await api.saga(order.orderId)
    expect(saga).toMatchObject({ status: 'needs_human', step: 'charge' })
    expect((await api.sagas('needs_human')).map((one) => one.sagaId)).toContain(order.orderId)
    const refusals = await attempts(order)
    await intervene(order, etag)
    await expect(intervene(order, etag), 'an ETag of before').rejects.toMatchObject({ status: 412 })
    // The bank still refuses.
    await expect.poll(() => attempts(order)).toBeGreaterThan(refusals)
    expect((await api.saga(order.orderId)).saga).toMatchObject({ status: 'needs_human' })
    expect(await api.stock(sku)).toMatchObject({ onHand: 3, reserved: 1 })
    expect(await api.order(order.orderId)).toMatchObject({ status: 'cancelling' })
    // The books are open meanwhile, and nothing in them is wrong but the money that is still there.
    const books = await readBooks(system.databases, system.gatewayUrl)
    const line = 'sagas: ended otherwise than their order'
    expect(books.lines).toContainEqual({ name: line, expected: 0, actual: 0 })
    expect(books).toMatchObject({ underWay: 1, balanced: false })
    await api.repairCharge(order.orderId)
    await retrySaga(context, order)
    await untilSaga(order, ({ status }) => status === 'compensated')
    const ending = await readEnding(context, { orders: [order], skus: [sku] })
    expect(ending).toEqual({
      orders: { 'cancelled: customer-request': 1 },
      charges: { refunded: 1 },
      keptMinor: 0,
      onHand: [3],
    })
  })

  it('does not take a step twice when two operators click at once: one of them is answered with 412', async () => {
    const context = orchestrated()
    const { order, sku } = await failedRefund(context)
    await api.repairCharge(order.orderId)
    const { etag } = await api.saga(order.orderId)
    const clicks = await Promise.allSettled([intervene(order, etag), intervene(order, etag)])
    const refused = clicks.filter((click) => click.status === 'rejected')
    expect(refused.map((click) => statusOf(click.reason))).toEqual([412])
    await untilSaga(order, ({ status }) => status === 'compensated')
    const ending = await readEnding(context, { orders: [order], skus: [sku] })
    expect(ending).toMatchObject({ charges: { refunded: 1 }, keptMinor: 0, onHand: [3] })
  })
})

async function failedRefund(context: ScenarioContext): Promise<{ order: Order; sku: string }> {
  const sku = await makeProduct(context, 3)
  const order = await placeAndCancel(context, 'tok_refund_fails', [{ sku, quantity: 1 }])
  await untilSaga(order, ({ status }) => status === 'needs_human')
  return { order, sku }
}

function intervene({ orderId }: Order, ifMatch: string): Promise<void> {
  return api.intervene(orderId, 'retry', { actor: 'grace', reason: 'end-to-end test', ifMatch })
}

async function attempts({ orderId }: Order): Promise<number> {
  return (await api.payments(orderId))[0]?.attempts ?? 0
}

type SagaRead = Awaited<ReturnType<Api['saga']>>

async function untilSaga(
  order: Order,
  isReached: (saga: SagaRead['saga']) => boolean,
): Promise<SagaRead> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const read = await api.saga(order.orderId)
    if (isReached(read.saga)) return read
    if (Date.now() > deadline) throw new Error(`the saga is still ${JSON.stringify(read.saga)}`)
    await sleep(25)
  }
}

async function startAgain(app: 'payment-service' | 'order-statistics'): Promise<void> {
  system.apps[app].start()
  await system.apps[app].ready()
}

function statusOf(error: unknown): number {
  return error instanceof UnexpectedAnswer ? error.status : 0
}
