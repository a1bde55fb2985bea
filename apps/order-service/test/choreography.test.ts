import { paymentCapturedV1 } from '@edp/event-schemas'
import { createPipeline, type Pipeline } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { createLogger, type Database, openDatabase } from '@edp/runtime'
import { patient, randomOf, seededRandom, type TestDatabase } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { placeOrderBody } from '../src/api.ts'
import { cancelOrder } from '../src/cancel-order.ts'
import { cancelOverdue } from '../src/cancel-overdue.ts'
import { kafkaConsumer } from '../src/consumers.ts'
import { lockOrders, saveOrders } from '../src/db/orders.ts'
import { createPlaceOrder } from '../src/place-order.ts'
import { orderSagas } from '../src/sagas.ts'
import { cupAndPots, delivered, event, events } from './given.ts'
import { newKey, testDatabase } from './running.ts'

// The pipeline on a real Postgres, fed by hand: every interleaving can be made, also those that Kafka seldom makes.

const namespace = 'test'
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

let owner: TestDatabase
let database: Database
let pipeline: Pipeline

beforeAll(async () => {
  owner = await testDatabase()
  database = openDatabase({
    url: owner.serviceUrl,
    applicationName: 'test',
    poolMax: 8,
    ...patient,
  })
  afterAll(() => database.end())
  pipeline = newPipeline()
})

beforeEach(async () => {
  await owner.query('truncate orders, order_lines, order_timeline, outbox, idempotency_key')
})

describe('an order', () => {
  test('is confirmed by its payment, announced with its lines, and its timeline tells the story', async () => {
    const orderId = await place()
    const story = [events.reserved, events.captured, events.shipped].map((make) => make(orderId))
    for (const message of story) await handle([message])
    expect(await statusOf(orderId)).toBe('confirmed')
    const [placed, confirmed] = await sentFor(orderId)
    expect(confirmed).toMatchObject({
      type: 'order.confirmed.v1',
      payload: {
        orderId,
        customerId: 'ada',
        lines: [
          { sku: 'espresso-cup', quantity: 1, unitPriceMinor: 1200 },
          { sku: 'moka-pot', quantity: 2, unitPriceMinor: 3900 },
        ],
        amountMinor: 9000,
        currency: 'EUR',
      },
      headers: { ce_causationid: story[1]?.messageId },
    })
    expect(await timelineOf(orderId)).toEqual([
      { type: 'order.placed.v1', message_id: placed?.['message_id'], detail: null },
      { type: 'stock.reserved.v1', message_id: story[0]?.messageId, detail: null },
      {
        type: 'payment.captured.v1',
        message_id: story[1]?.messageId,
        detail: { chargeId: 'ch_1', amountMinor: 9000, currency: 'EUR' },
      },
      { type: 'order.confirmed.v1', message_id: confirmed?.['message_id'], detail: null },
      { type: 'stock.shipped.v1', message_id: story[2]?.messageId, detail: null },
    ])
  })

  test.each([
    ['stock.rejected', events.rejected, 'out-of-stock'],
    ['payment.declined', events.declined, 'payment-declined'],
  ])('that %s refuses is undone, and cancelled when its stock is back', async (_, make, reason) => {
    const orderId = await place()
    await handle([make(orderId)])
    expect(await statusOf(orderId)).toBe('cancelling')
    await handle([events.refunded(orderId), events.released(orderId)])
    expect(await statusOf(orderId)).toBe('cancelled')
    expect(await sentFor(orderId)).toMatchObject([
      { type: 'order.placed.v1' },
      { type: 'order.cancelling.v1', payload: { orderId, reason, currency: 'EUR' } },
      { type: 'order.cancelled.v1', payload: { orderId, customerId: 'ada', reason } },
    ])
    expect((await timelineOf(orderId)).map((entry) => entry['type'])).toEqual([
      'order.placed.v1',
      make(orderId).type,
      'order.cancelling.v1',
      'payment.refunded.v1',
      'stock.released.v1',
      'order.cancelled.v1',
    ])
  })

  test('whose refusal and release are in one batch goes through both states, in order', async () => {
    const orderId = await place()
    await handle([events.rejected(orderId), events.refunded(orderId), events.released(orderId)])
    expect(await statusOf(orderId)).toBe('cancelled')
    expect((await sentFor(orderId)).map((row) => row['type'])).toEqual([
      'order.placed.v1',
      'order.cancelling.v1',
      'order.cancelled.v1',
    ])
  })

  test('of the other coordination is left alone', async () => {
    const orderId = await place()
    const body = { orderId, chargeId: 'ch_1', amountMinor: 9000, currency: 'EUR' }
    await handle([event(paymentCapturedV1, body, { coordination: 'orchestrated' })])
    expect(await statusOf(orderId)).toBe('pending')
  })

  test('that has ended cannot be changed by any statement of the service', async () => {
    const orderId = await place()
    await handle([events.captured(orderId)])
    const takenBack = database.transaction(async (tx) => {
      const order = (await lockOrders(tx, [orderId])).get(orderId)
      if (order?.status !== 'confirmed') throw new Error('it was confirmed')
      saveOrders(tx, [{ ...order, status: 'cancelled', cancelReason: 'customer-request' }])
    })
    await expect(takenBack).rejects.toMatchObject({ code: '23514' })
    expect(await statusOf(orderId)).toBe('confirmed')
  })
})

describe('all events, twice and in any order,', () => {
  const random = seededRandom('order-service, any order')

  test.each([
    ['confirm an order that is paid', 'confirmed', ['reserved', 'captured', 'shipped'], false],
    [
      'cancel an order that the customer has cancelled, paid or not',
      'cancelled',
      ['reserved', 'captured', 'refunded', 'released'],
      true,
    ],
    [
      'cancel an order that was cancelled before there was stock',
      'cancelled',
      ['rejected', 'refunded', 'released'],
      true,
    ],
  ] as const)('%s', async (_what, end, names, cancelledFirst) => {
    for (let round = 0; round < 40; round += 1) {
      const orderId = await place()
      if (cancelledFirst)
        await cancelOrder({ database, namespace, sagas: orderSagas }, orderId, traceparent)
      const once = names.map((name) => events[name](orderId))
      // The same messages again (the broker's duplicates), and the same facts under new ids (answered again).
      const all = shuffled([...once, ...once, ...names.map((name) => events[name](orderId))])
      for (const batch of cutUp(all)) await handle(batch)
      expect(await statusOf(orderId)).toBe(end)
      const types = (await sentFor(orderId)).map((row) => row['type'])
      expect(types).toEqual(
        end === 'confirmed'
          ? ['order.placed.v1', 'order.confirmed.v1']
          : ['order.placed.v1', 'order.cancelling.v1', 'order.cancelled.v1'],
      )
      // Every message is noted once; what came twice under one id was seen once.
      const received = (await timelineOf(orderId)).filter(
        (entry) => !String(entry['type']).startsWith('order.') && entry['message_id'] !== null,
      )
      expect(received).toHaveLength(2 * names.length)
    }
  })

  function shuffled<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: random.next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item)
  }

  function cutUp<T>(items: readonly T[]): T[][] {
    const batches: T[][] = [[]]
    for (const item of items) {
      if (random.below(3) === 0) batches.push([])
      batches.at(-1)?.push(item)
    }
    return batches.filter((batch) => batch.length > 0)
  }
})

test('confirm, cancel, refusal and deadline race for every order, and exactly one wins', async () => {
  const random = seededRandom('order-service, race')
  const other = newPipeline()
  const winners = new Map<string, number>()
  for (let round = 0; round < 40; round += 1) {
    const orderIds = await Promise.all(Array.from({ length: 10 }, () => place()))
    await owner.query('update orders set due_at = now()')
    const racers: (() => Promise<unknown>)[] = [
      () => handle(orderIds.map((orderId) => events.captured(orderId))),
      () => other.handle(orderIds.map((orderId) => delivered(events.declined(orderId)))),
      () => cancelOverdue({ database, namespace }, 5),
      ...orderIds.map(
        (orderId) => () =>
          cancelOrder({ database, namespace, sagas: orderSagas }, orderId, traceparent),
      ),
    ]
    const order = randomOf(random.below(2 ** 31))
    const started = racers.toSorted(() => order.next() - 0.5)
    await Promise.all(started.map((race) => race()))
    for (const orderId of orderIds) {
      const types = (await sentFor(orderId)).map((row) => String(row['type'])).slice(1)
      const status = await statusOf(orderId)
      expect(types, `order ${orderId} of round ${round}`).toEqual([
        status === 'confirmed' ? 'order.confirmed.v1' : 'order.cancelling.v1',
      ])
      const reason = await reasonOf(orderId)
      winners.set(reason ?? 'confirmed', (winners.get(reason ?? 'confirmed') ?? 0) + 1)
    }
    await owner.query('truncate orders, order_lines, order_timeline, outbox, idempotency_key')
  }
  // A race that the same one always wins would prove nothing.
  expect([...winners.keys()].toSorted()).toEqual(
    ['confirmed', 'customer-request', 'deadline-passed', 'payment-declined'].toSorted(),
  )
}, 120_000)

describe('the deadline', () => {
  test('gives up pending orders that are overdue by the database’s clock, and no others', async () => {
    const [overdue, inTime, confirmed, cancelling] = [
      await place(),
      await place(),
      await place(),
      await place(),
    ]
    await handle([events.captured(confirmed), events.rejected(cancelling)])
    await owner.query(`update orders set due_at = now() - interval '1 ms' where order_id <> $1`, [
      inTime,
    ])
    expect(await cancelOverdue({ database, namespace }, 100)).toBe(1)
    expect(await cancelOverdue({ database, namespace }, 100)).toBe(0)
    expect(await reasonOf(overdue)).toBe('deadline-passed')
    expect(await statusOf(inTime)).toBe('pending')
    expect(await statusOf(confirmed)).toBe('confirmed')
    expect(await reasonOf(cancelling)).toBe('out-of-stock')
    const [, cancellingMessage] = await sentFor(overdue)
    expect(cancellingMessage).toMatchObject({
      type: 'order.cancelling.v1',
      payload: { orderId: overdue, reason: 'deadline-passed', currency: 'EUR' },
    })
    expect((await timelineOf(overdue)).slice(1)).toEqual([
      { type: 'deadline.passed', message_id: null, detail: null },
      {
        type: 'order.cancelling.v1',
        message_id: cancellingMessage?.['message_id'],
        detail: { reason: 'deadline-passed' },
      },
    ])
  })

  test('is kept in batches, the longest overdue first', async () => {
    const orderIds = await Promise.all(Array.from({ length: 5 }, () => place()))
    for (const [index, orderId] of orderIds.entries()) {
      await owner.query(
        `update orders set due_at = now() - make_interval(secs => $2) where order_id = $1`,
        [orderId, 10 + index],
      )
    }
    expect(await cancelOverdue({ database, namespace }, 3)).toBe(3)
    const statuses = await Promise.all(orderIds.map(statusOf))
    expect(statuses).toEqual(['pending', 'pending', 'cancelling', 'cancelling', 'cancelling'])
  })

  test('does not wait for an order that somebody has locked', async () => {
    const [locked, free] = [await place(), await place()]
    await owner.query('update orders set due_at = now()')
    const release = Promise.withResolvers<void>()
    const holding = Promise.withResolvers<void>()
    const holder = database.transaction(async (tx) => {
      await lockOrders(tx, [locked])
      holding.resolve()
      await release.promise
    })
    await holding.promise
    expect(await cancelOverdue({ database, namespace }, 10)).toBe(1)
    release.resolve()
    await holder
    expect(await statusOf(free)).toBe('cancelling')
    expect(await cancelOverdue({ database, namespace }, 10)).toBe(1)
  })
})

function newPipeline(): Pipeline {
  return createPipeline({
    consumer: kafkaConsumer,
    database,
    source: 'order-service',
    namespace,
    logger: createLogger('test', 'silent'),
  })
}

async function place(): Promise<string> {
  const placeOrder = createPlaceOrder({
    database,
    namespace,
    orderDeadlineMs: 60_000,
    sagas: orderSagas,
  })
  const body = placeOrderBody.parse(cupAndPots)
  const placed = await placeOrder({ idempotencyKey: newKey(), body, traceparent })
  if (placed.kind !== 'accepted') throw new Error(placed.kind)
  return placed.order.orderId
}

async function handle(messages: readonly OutboxRow[]): Promise<void> {
  await pipeline.handle(messages.map(delivered))
}

async function statusOf(orderId: string): Promise<unknown> {
  return (await owner.query('select status from orders where order_id = $1', [orderId]))[0]?.[
    'status'
  ]
}

async function reasonOf(orderId: string): Promise<string | null> {
  const [row] = await owner.query('select cancel_reason from orders where order_id = $1', [orderId])
  return row?.['cancel_reason'] as string | null
}

function sentFor(orderId: string) {
  return owner.query('select * from outbox where key = $1 order by id', [orderId])
}

function timelineOf(orderId: string) {
  return owner.query(
    'select type, message_id, detail from order_timeline where order_id = $1 order by seq',
    [orderId],
  )
}
