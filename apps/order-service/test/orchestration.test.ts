import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Orchestrator, openOrchestration } from './orchestrator.ts'
import { not, ok } from './replies.ts'

// The orchestrator on a real Postgres, fed by hand: every interleaving can be made, also those that RabbitMQ seldom makes.

let world: Awaited<ReturnType<typeof openOrchestration>>
let one: Orchestrator

beforeAll(async () => {
  world = await openOrchestration()
  one = world.process()
})

beforeEach(async () => {
  await world.clear()
})

describe('an orchestrated order', () => {
  test('starts with its saga and its first command in one transaction', async () => {
    const orderId = await one.place()
    expect(await world.sentFor(orderId)).toEqual(['order.placed', 'stock.reserve #1'])
    expect(
      await world.owner.query(
        `select count(distinct xmin::text)::int as transactions, count(*)::int as rows from (
           select xmin from orders union all select xmin from saga union all select xmin from saga_log
           union all select xmin from outbox union all select xmin from order_timeline) written`,
      ),
    ).toEqual([{ transactions: 1, rows: 7 }])
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'running', step: 'reserve' })
    await world.expectReplayed()
  })

  test('is reserved, charged, and confirmed in the transaction of the last answer', async () => {
    const orderId = await one.place()
    await one.handle(ok(orderId, 'reserve', 'do'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'pending' })
    await one.handle(ok(orderId, 'charge', 'do'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'confirmed' })
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'completed', version: 4, seq: 4 })
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'payment.capture #1',
      'order.confirmed',
    ])
    expect(await world.logOf(orderId)).toEqual([
      'customer: started',
      'inventory-service: done',
      'payment-service: done',
      'local: completed',
    ])
    expect((await world.timelineOf(orderId)).map((entry) => entry['type'])).toEqual([
      'order.placed.v1',
      'stock.reserve.v1',
      'stock.reserve.replied.v1',
      'payment.capture.v1',
      'payment.capture.replied.v1',
      'order.confirmed.v1',
    ])
    expect(await world.expectReplayed()).toBe(1)
  })

  test.each([
    ['standard', ''],
    ['express', '.express'],
  ] as const)(
    'that is %s sends all its commands one way, whatever makes it send them',
    async (priority, suffix) => {
      const orderId = await one.place(300_000, priority)
      await one.due(orderId)
      await one.handle(ok(orderId, 'reserve', 'do', { priority }))
      await one.cancel(orderId)
      await one.handle(ok(orderId, 'charge', 'undo', { priority }))
      expect(await world.sentFor(orderId)).toEqual([
        'order.placed',
        'stock.reserve #1',
        'stock.reserve #2',
        'payment.capture #1',
        'order.cancelling',
        'payment.refund #1',
        'stock.release #1',
      ])
      const [inventory, payment] = ['inventory', 'payment'].map(
        (name) => `test.commands/test.${name}.commands${suffix}`,
      )
      expect(await world.queuesOf(orderId)).toEqual([
        inventory,
        inventory,
        payment,
        payment,
        inventory,
      ])
      const [placed, reserve] = await world.timelineOf(orderId)
      const shown = priority === 'express' ? { priority } : {}
      expect(placed?.['detail'] ?? {}).toEqual(shown)
      expect(reserve?.['detail']).toEqual({
        step: 'reserve',
        direction: 'do',
        attempt: 1,
        ...shown,
      })
    },
  )

  test('that is refused is undone in reverse order, and cancelled at the end', async () => {
    const orderId = await one.place()
    await one.handle(ok(orderId, 'reserve', 'do'))
    await one.handle(not(orderId, 'charge', 'do', { outcome: 'refused' }))
    expect(await world.orderOf(orderId)).toEqual({
      status: 'cancelling',
      cancel_reason: 'payment-declined',
    })
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await world.orderOf(orderId)).toEqual({
      status: 'cancelled',
      cancel_reason: 'payment-declined',
    })
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'payment.capture #1',
      'order.cancelling',
      'stock.release #1',
      'order.cancelled',
    ])
    await world.expectReplayed()
  })
})

describe('a hundred sagas without an answer', () => {
  let waiting: string[]
  beforeEach(async () => {
    waiting = await Promise.all(Array.from({ length: 100 }, () => one.place()))
    await world.owner.query(`update saga set step_at = now() - interval '5 s'`)
    await world.owner.query('delete from outbox')
  })

  test('are a backlog, which no command sent again makes longer; one less, and a lost command is asked for again', async () => {
    const [orderId = '', forLong = '', answered = ''] = waiting
    await world.owner.query(`update saga set due_at = now() - interval '1 minute' where id = $1`, [
      forLong,
    ])
    expect(await one.due(orderId)).toBe(1)
    expect(await world.sentFor(orderId)).toEqual([])
    expect(await world.sentFor(forLong)).toEqual(['stock.reserve #2'])
    await one.handle(ok(answered, 'reserve', 'do'))
    expect(await one.timers()).toBe(1)
    expect(await world.sentFor(orderId)).toEqual(['stock.reserve #2'])
    await world.expectReplayed()
  })

  test('keep no undo from being sent again, and no deadline from coming', async () => {
    const undoing = await one.place()
    await one.cancel(undoing)
    const late = await one.place(1)
    await world.owner.query('delete from outbox')
    await one.due(undoing)
    await one.due(late)
    expect(await world.sentFor(undoing)).toEqual(['stock.release #2'])
    expect(await world.logOf(late)).toContain('timer: deadline')
    await world.expectReplayed()
  })
})
