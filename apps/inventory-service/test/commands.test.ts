import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from '@edp/messaging'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { confirmed, newOrderId, placed, refunded, release, reserve } from './given.ts'
import { type Inventory, openInventory, type Sent } from './inventory.ts'

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

const reserveReplied = 'stock.reserve.replied.v1'
const releaseReplied = 'stock.release.replied.v1'

async function sentOf(id = orderId): Promise<[type: string, payload: Sent['payload']][]> {
  return (await inventory.sent(id)).map(({ type, payload }) => [type, payload])
}

function replyBody(direction: 'do' | 'undo', attempt: number, answer: object): object {
  return { sagaId: orderId, step: 'reserve', direction, attempt, ...answer }
}

describe('stock.reserve', () => {
  test('holds all lines, tells everybody, and answers the command', async () => {
    const command = reserve(orderId, { [cup]: 2, [pot]: 1 })
    await inventory.pipeline.handle([command])
    const lines = [
      { sku: cup, quantity: 2 },
      { sku: pot, quantity: 1 },
    ]
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 2 })
    const [fact, reply] = await inventory.sent(orderId)
    expect(fact).toMatchObject({
      type: 'stock.reserved.v1',
      payload: { orderId, lines, payment: { amountMinor: 300 } },
      headers: { ce_coordination: 'orchestrated' },
    })
    expect(reply).toMatchObject({
      type: reserveReplied,
      key: orderId,
      payload: replyBody('do', 1, { outcome: 'ok', result: { lines } }),
      headers: {
        cloudEvents_causationid: command.headers['cloudEvents_id'],
        cloudEvents_coordination: 'orchestrated',
        cloudEvents_sagaid: orderId,
        cloudEvents_step: 'reserve',
        cloudEvents_direction: 'do',
        cloudEvents_attempt: '1',
      },
    })
    const replies = await inventory.postgres.query(
      'select transport, destination from outbox where key = $1 and type = $2',
      [orderId, reserveReplied],
    )
    const destination = 'test.replies/test.order.saga-replies'
    expect(replies).toEqual([{ transport: 'rabbitmq', destination }])
  })

  test('that is short holds nothing, and is refused', async () => {
    await inventory.pipeline.handle([reserve(orderId, { [cup]: 2, [pot]: 2 })])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
    expect(await sentOf()).toEqual([
      ['stock.rejected.v1', expect.objectContaining({ reason: 'out-of-stock' })],
      [reserveReplied, replyBody('do', 1, { outcome: 'refused', reason: 'out-of-stock' })],
    ])
  })

  test('sent again under a new id holds once and is answered each time, as the attempt that it is', async () => {
    await inventory.pipeline.handle([reserve(orderId, { [cup]: 2 }, 1)])
    const again = [2, 3].map((attempt) => reserve(orderId, { [cup]: 2 }, attempt))
    await inventory.pipeline.handle(again)
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 2 })
    const sent = await inventory.sent(orderId)
    expect(sent.map(({ type }) => type)).toEqual([
      'stock.reserved.v1',
      ...Array(3).fill(reserveReplied),
    ])
    expect(sent.slice(1).map(({ payload }) => payload['attempt'])).toEqual([1, 2, 3])
    expect(new Set(sent.slice(1).map(({ headers }) => headers['cloudEvents_id'])).size).toBe(3)
  })

  test('delivered again, also both copies in one batch, changes nothing and is not answered again', async () => {
    const command = reserve(orderId, { [cup]: 2 })
    await inventory.pipeline.handle([command, command])
    await inventory.pipeline.handle([command])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 2 })
    const types = (await sentOf()).map(([type]) => type)
    expect(types).toEqual(['stock.reserved.v1', reserveReplied])
  })
})

describe('stock.release', () => {
  test('gives back what was held, once, and is answered each time', async () => {
    await inventory.pipeline.handle([reserve(orderId, { [cup]: 2 })])
    await inventory.pipeline.handle([release(orderId, 1)])
    await inventory.pipeline.handle([release(orderId, 2), release(orderId, 3)])
    expect(await inventory.stockOf(cup)).toEqual({ onHand: 10, reserved: 0 })
    expect(await inventory.reservationOf(orderId)).toBe('released')
    const lines = [{ sku: cup, quantity: 2 }]
    const answer = { outcome: 'ok', result: { lines } }
    expect((await sentOf()).slice(2)).toEqual([
      ['stock.released.v1', { orderId, lines }],
      ...[1, 2, 3].map((attempt) => [releaseReplied, replyBody('undo', attempt, answer)]),
    ])
  })

  test('before its reservation answers that nothing went back, and the reservation is refused for ever', async () => {
    await inventory.pipeline.handle([release(orderId)])
    await inventory.pipeline.handle([reserve(orderId, { [cup]: 2 })])
    expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
    expect(await sentOf()).toEqual([
      ['stock.released.v1', { orderId, lines: [] }],
      [releaseReplied, replyBody('undo', 1, { outcome: 'ok', result: { lines: [] } })],
      [reserveReplied, replyBody('do', 1, { outcome: 'refused', reason: 'undone' })],
    ])
  })
})

test('reserve and release at once, in two processes, leave nothing held whichever was first', async () => {
  const [one, two] = [inventory.process(), inventory.process()]
  const orders = Array.from({ length: 40 }, newOrderId)
  await inventory.postgres.query('update stock set on_hand = 1000 where sku = $1', [cup])
  await Promise.all(
    orders.flatMap((id, index) => {
      const [first, second] = index % 2 === 0 ? [one, two] : [two, one]
      return [first.handle([reserve(id, { [cup]: 1 })]), second.handle([release(id)])]
    }),
  )
  expect(await inventory.stockOf(cup)).toEqual({ onHand: 1000, reserved: 0 })
  for (const id of orders) {
    const sent = await sentOf(id)
    const reserved = sent.find(([type]) => type === reserveReplied)?.[1]['outcome'] === 'ok'
    const released = sent.find(([type]) => type === releaseReplied)?.[1]
    const lines = reserved ? [{ sku: cup, quantity: 1 }] : []
    expect(released).toMatchObject({ outcome: 'ok', result: { lines } })
    expect(await inventory.reservationOf(id)).toBe(reserved ? 'released' : undefined)
  }
})

test('an order of either style is shipped when it is confirmed', async () => {
  await inventory.pipeline.handle([reserve(orderId, { [cup]: 2 })])
  await inventory.pipeline.handle([
    confirmed(orderId, { [cup]: 2 }, { coordination: 'orchestrated' }),
  ])
  expect(await inventory.stockOf(cup)).toEqual({ onHand: 8, reserved: 0 })
  expect(await inventory.reservationOf(orderId)).toBe('shipped')
})

test('facts of the other style are ignored, and a command of it is a dead letter, not done', async () => {
  const inOtherStyle = (message: IncomingMessage): IncomingMessage => ({
    ...message,
    headers: { ...message.headers, cloudEvents_coordination: 'choreographed' },
  })
  const commands = [reserve(orderId, { [cup]: 2 }), release(orderId)].map(inOtherStyle)
  await inventory.pipeline.handle([
    placed(orderId, { [cup]: 2 }, { coordination: 'orchestrated' }),
    refunded(orderId, { coordination: 'orchestrated' }),
    ...commands,
  ])
  expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
  expect(await sentOf()).toEqual([])
  for (const { headers } of commands) {
    const [letter] = await inventory.sent(headers['cloudEvents_id'] ?? '')
    expect(letter).toMatchObject({
      type: 'message.dead-lettered.v1',
      payload: { consumer: 'inventory-service.rabbitmq', reason: 'unknown-type', key: orderId },
    })
  }
})

test('a command that was dead while its order was undone meets the tombstone when it is redriven', async () => {
  const command = reserve(orderId, { [cup]: 2 })
  const dead = { ...command, body: Buffer.from('{') }
  await inventory.pipeline.handle([dead])
  await inventory.pipeline.handle([release(orderId)])
  await inventory.redrive(dead, Buffer.from(command.body).toString())
  expect(await inventory.stockOf(cup)).toMatchObject({ reserved: 0 })
  expect((await sentOf()).at(-1)).toEqual([
    reserveReplied,
    replyBody('do', 1, { outcome: 'refused', reason: 'undone' }),
  ])
})
