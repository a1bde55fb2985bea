import { randomUUID } from 'node:crypto'
import { declaredStatements } from '@edp/runtime'
import { explainPlans } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { confirmed, newOrderId, placed, refunded } from './given.ts'
import { type Inventory, openInventory } from './inventory.ts'

let inventory: Inventory
let orderId: string
let cup: string
let pot: string

beforeAll(async () => {
  inventory = await openInventory()
})

afterAll(() => inventory.close())

beforeEach(async () => {
  orderId = newOrderId()
  cup = `cup-${randomUUID()}`
  pot = `pot-${randomUUID()}`
  await inventory.receive({ [cup]: 10, [pot]: 1 })
})

async function typesSent(): Promise<string[]> {
  return (await inventory.sent(orderId)).map((message) => message.type)
}

describe('order.placed', () => {
  test('reserves all lines and passes the payment on unread', async () => {
    const message = placed(orderId, { [cup]: 2, [pot]: 1 })
    await inventory.pipeline.handle([message])
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 2 })
    expect(await inventory.stockOf(pot)).toEqual({ onHand: 1, reserved: 1 })
    expect(await inventory.reservationOf(orderId)).toBe('held')
    const [sent] = await inventory.sent(orderId)
    expect(sent).toMatchObject({
      type: 'stock.reserved.v1',
      payload: {
        orderId,
        lines: [
          { sku: cup, quantity: 2 },
          { sku: pot, quantity: 1 },
        ],
        payment: { amountMinor: 300, currency: 'EUR', paymentRef: 'tok_ok' },
      },
      headers: {
        ce_causationid: message.headers['ce_id'],
        ce_coordination: 'choreographed',
        ce_source: 'inventory-service',
      },
    })
  })

  test('reserves nothing when one line is short', async () => {
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2, [pot]: 2 })])
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 0 })
    expect(await inventory.reservationOf(orderId)).toBeUndefined()
    expect(await inventory.sent(orderId)).toMatchObject([
      {
        type: 'stock.rejected.v1',
        payload: {
          orderId,
          reason: 'out-of-stock',
          shortages: [{ sku: pot, requested: 2, available: 1 }],
        },
      },
    ])
  })

  test('delivered twice, also both copies in one batch, reserves once and answers once', async () => {
    const message = placed(orderId, { [cup]: 2 })
    await inventory.pipeline.handle([message, message])
    await inventory.pipeline.handle([message])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 2 })
    expect(await typesSent()).toEqual(['stock.reserved.v1'])
  })

  test('sent again under a new id reserves once and gives the stored answer again', async () => {
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2 })])
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2 }), placed(orderId, { [cup]: 2 })])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 2 })
    const sent = await inventory.sent(orderId)
    expect(sent.map((message) => message.type)).toEqual(Array(3).fill('stock.reserved.v1'))
    expect(sent[1]?.payload).toEqual(sent[0]?.payload)
    expect(new Set(sent.map((message) => message.headers['ce_id'])).size).toBe(3)
  })

  test('rejected before is rejected again although there is stock now', async () => {
    await inventory.pipeline.handle([placed(orderId, { [pot]: 2 })])
    await inventory.postgres.query('update stock set on_hand = 50 where sku = $1', [pot])
    await inventory.pipeline.handle([placed(orderId, { [pot]: 2 })])
    expect(await typesSent()).toEqual(['stock.rejected.v1', 'stock.rejected.v1'])
    expect(await inventory.stockOf(pot)).toEqual({ onHand: 50, reserved: 0 })
  })

  test('of the orchestrated style is none of this consumer’s business', async () => {
    await inventory.pipeline.handle([
      placed(orderId, { [cup]: 2 }, { coordination: 'orchestrated' }),
    ])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
    expect(await typesSent()).toEqual([])
  })
})

describe('payment.refunded', () => {
  test('releases what was held, once, and answers each time', async () => {
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2, [pot]: 1 })])
    await inventory.pipeline.handle([refunded(orderId)])
    await inventory.pipeline.handle([refunded(orderId), refunded(orderId)])
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 0 })
    expect(await inventory.stockOf(pot)).toEqual({ onHand: 1, reserved: 0 })
    expect(await inventory.reservationOf(orderId)).toBe('released')
    const [, ...answers] = await inventory.sent(orderId)
    expect(answers).toHaveLength(3)
    for (const answer of answers) {
      expect(answer).toMatchObject({
        type: 'stock.released.v1',
        payload: {
          orderId,
          lines: [
            { sku: cup, quantity: 2 },
            { sku: pot, quantity: 1 },
          ],
        },
      })
    }
  })

  test('before its order answers without lines, and the order is refused when it comes', async () => {
    await inventory.pipeline.handle([refunded(orderId)])
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2 })])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
    expect(await inventory.reservationOf(orderId)).toBeUndefined()
    expect(await inventory.sent(orderId)).toMatchObject([
      { type: 'stock.released.v1', payload: { orderId, lines: [] } },
      { type: 'stock.rejected.v1', payload: { orderId, reason: 'undone', shortages: [] } },
    ])
  })

  test('of an order that was short answers without lines', async () => {
    await inventory.pipeline.handle([placed(orderId, { [pot]: 2 })])
    await inventory.pipeline.handle([refunded(orderId)])
    expect((await inventory.sent(orderId))[1]).toMatchObject({
      type: 'stock.released.v1',
      payload: { orderId, lines: [] },
    })
  })

  test('in one batch with its order, behind it or before it', async () => {
    await inventory.pipeline.handle([placed(orderId, { [cup]: 2 }), refunded(orderId)])
    expect(await typesSent()).toEqual(['stock.reserved.v1', 'stock.released.v1'])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
    expect(await inventory.reservationOf(orderId)).toBe('released')

    orderId = newOrderId()
    await inventory.pipeline.handle([refunded(orderId), placed(orderId, { [cup]: 2 })])
    expect(await typesSent()).toEqual(['stock.released.v1', 'stock.rejected.v1'])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
  })
})

describe('order.confirmed', () => {
  test.each(['choreographed', 'orchestrated'] as const)(
    'ships what is held, once (%s)',
    async (coordination) => {
      await inventory.pipeline.handle([placed(orderId, { [cup]: 2 })])
      const message = confirmed(orderId, { [cup]: 2 }, { coordination })
      await inventory.pipeline.handle([message, message])
      await inventory.pipeline.handle([confirmed(orderId, { [cup]: 2 }, { coordination })])
      expect(await inventory.stockOf(cup)).toEqual({ onHand: 8, reserved: 0 })
      expect(await inventory.reservationOf(orderId)).toBe('shipped')
      expect(await inventory.sent(orderId)).toMatchObject([
        { type: 'stock.reserved.v1' },
        { type: 'stock.shipped.v1', payload: { orderId, lines: [{ sku: cup, quantity: 2 }] } },
      ])
    },
  )

  test('of an order that was never reserved is a dead letter and changes nothing', async () => {
    const message = confirmed(orderId, { [cup]: 2 })
    await inventory.pipeline.handle([message])
    const [letter] = await inventory.sent(message.headers['ce_id'] ?? '')
    expect(letter).toMatchObject({
      type: 'message.dead-lettered.v1',
      payload: { reason: 'permanent', error: { code: 'nothing-reserved' } },
    })
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 0 })
    expect(await typesSent()).toEqual([])
  })
})

describe('in two processes at once', () => {
  test('the last unit wanted by fifty orders goes to one', async () => {
    const orders = Array.from({ length: 50 }, () => newOrderId())
    const [first, second] = [inventory.process(), inventory.process()]
    await Promise.all(
      orders.map((id, index) =>
        (index % 2 === 0 ? first : second).handle([placed(id, { [pot]: 1 })]),
      ),
    )
    const sent = (await Promise.all(orders.map((id) => inventory.sent(id)))).flat()
    const types = sent.map((message) => message.type).toSorted()
    expect(types).toEqual([...Array(49).fill('stock.rejected.v1'), 'stock.reserved.v1'])
    expect(await inventory.stockOf(pot)).toEqual({ onHand: 1, reserved: 1 })
  })

  test('orders over opposite SKUs do not deadlock', async () => {
    const before = await deadlocks()
    const [first, second] = [inventory.process(), inventory.process()]
    await inventory.postgres.query('update stock set on_hand = 100 where sku = any($1)', [
      [cup, pot],
    ])
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        index % 2 === 0
          ? first.handle([placed(newOrderId(), { [cup]: 1, [pot]: 1 })])
          : second.handle([placed(newOrderId(), { [pot]: 1, [cup]: 1 })]),
      ),
    )
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 40 })
    expect(await inventory.stockOf(pot)).toMatchObject({ reserved: 40 })
    expect(await deadlocks()).toBe(before)
  })

  async function deadlocks(): Promise<number> {
    const [row] = await inventory.postgres.query(
      `select deadlocks from pg_stat_database where datname = current_database()`,
    )
    return Number(row?.['deadlocks'])
  }
})

describe('the database itself refuses', () => {
  test.each([
    ['to reserve more than is on hand', 'update stock set reserved = on_hand + 1 where sku = $1'],
    ['a negative reservation', 'update stock set reserved = -1 where sku = $1'],
    [
      'a delivery of nothing',
      `insert into stock_receipts (receipt_id, sku, quantity) values (gen_random_uuid(), $1, 0)`,
    ],
    [
      'a status that nobody knows',
      `insert into reservations (order_id, status, lines)
       values (gen_random_uuid(), 'lost', json_build_array($1::text))`,
    ],
  ])('%s', async (_, sql) => {
    await expect(inventory.postgres.query(sql, [cup])).rejects.toThrow('check constraint')
  })

  test('the service everything but rows', async () => {
    const asService = inventory.database.reads
    await expect(asService.query('alter table stock add column x int')).rejects.toThrow('owner')
    await expect(asService.query('create table mine (id int)')).rejects.toThrow('permission')
  })
})

test('each statement looks up by the whole key while there are no statistics', async () => {
  const empty = await openInventory()
  try {
    await empty.postgres.query('truncate stock, stock_receipts')
    const statements = declaredStatements().filter((one) => /^(stock|reservations)_/.test(one.name))
    expect(statements.map((one) => one.name).toSorted()).toEqual([
      'reservations_lock',
      'reservations_save',
      'stock_add',
      'stock_lock',
      'stock_read',
      'stock_receipt_insert',
      'stock_receipt_read',
      'stock_save',
    ])
    expect(await explainPlans(empty.postgres.url, statements)).toEqual([])
  } finally {
    await empty.close()
  }
})
