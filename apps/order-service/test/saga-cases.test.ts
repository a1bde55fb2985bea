import { AppError } from '@edp/runtime'
import { createSagaRegistry } from '@edp/saga/postgres'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cancelOverdue } from '../src/cancel-overdue.ts'
import {
  fulfilmentVersion,
  namespace,
  type Orchestrator,
  openOrchestration,
} from './orchestrator.ts'
import { not, ok } from './replies.ts'

// The cases that an orchestrator has to get right, one by one; after each its log is decided again and must lead to what is
// stored.

let world: Awaited<ReturnType<typeof openOrchestration>>
let one: Orchestrator
let two: Orchestrator

beforeAll(async () => {
  world = await openOrchestration()
  one = world.process()
  two = world.process()
})

beforeEach(async () => {
  await world.clear()
})

describe('answers', () => {
  test('that the broker delivers twice, or that are given twice, are folded once', async () => {
    const orderId = await one.place()
    const reserved = ok(orderId, 'reserve', 'do')
    await one.handle(reserved, reserved)
    await two.handle(reserved)
    await one.handle(ok(orderId, 'reserve', 'do'))
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'payment.capture #1',
    ])
    expect(await world.logOf(orderId)).toEqual([
      'customer: started',
      'inventory-service: done',
      'inventory-service: duplicate',
    ])
    // What was ignored has a number in the log, and leaves the version as the operator saw it.
    expect(await world.sagaOf(orderId)).toMatchObject({ version: 2, seq: 3 })
    expect((await world.timelineOf(orderId)).at(-1)).toMatchObject({
      type: 'stock.reserve.replied.v1',
      detail: { outcome: 'ok', note: 'duplicate' },
    })
    await world.expectReplayed()
  })

  test('to the first attempt after the second was sent count, and that to the second is a duplicate', async () => {
    const orderId = await one.place()
    await one.due(orderId)
    expect(await world.sagaOf(orderId)).toMatchObject({ attempt: 2, version: 2 })
    await one.handle(ok(orderId, 'reserve', 'do', { attempt: 1 }))
    await one.handle(ok(orderId, 'reserve', 'do', { attempt: 2 }))
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'stock.reserve #2',
      'payment.capture #1',
    ])
    expect((await world.logOf(orderId)).slice(1)).toEqual([
      'timer: resent',
      'inventory-service: done',
      'inventory-service: duplicate',
    ])
    await world.expectReplayed()
  })

  test('that were lost are asked for again: a new message about the same command', async () => {
    const orderId = await one.place()
    await one.due(orderId)
    const commands = await world.owner.query(
      `select message_id, payload::text, headers->>'cloudEvents_sagaid' as saga, headers->>'cloudEvents_step' as step,
         headers->>'cloudEvents_direction' as direction
       from outbox where type = 'stock.reserve.v1' order by id`,
    )
    const [first, again] = commands
    expect(commands).toHaveLength(2)
    expect(again).toEqual({ ...first, message_id: again?.['message_id'] })
    expect(again?.['message_id']).not.toBe(first?.['message_id'])
    await one.handle(ok(orderId, 'reserve', 'do', { attempt: 2 }), ok(orderId, 'charge', 'do'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'confirmed' })
    await world.expectReplayed()
  })

  test('ok after the deadline started the undoing is late, and what it did is undone', async () => {
    const orderId = await one.place(1)
    await one.due(orderId)
    expect(await world.orderOf(orderId)).toEqual({
      status: 'cancelling',
      cancel_reason: 'deadline-passed',
    })
    await one.handle(ok(orderId, 'reserve', 'do'))
    expect((await world.logOf(orderId)).at(-1)).toBe('inventory-service: late')
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'cancelled' })
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'order.cancelling',
      'stock.release #1',
      'order.cancelled',
    ])
    await world.expectReplayed()
  })

  test('after the end change nothing, whatever they say', async () => {
    const orderId = await one.place()
    await one.handle(ok(orderId, 'reserve', 'do'), ok(orderId, 'charge', 'do'))
    await one.handle(
      not(orderId, 'charge', 'do', { outcome: 'refused' }),
      ok(orderId, 'charge', 'undo'),
      ok(orderId, 'reserve', 'do'),
    )
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'confirmed' })
    expect((await world.logOf(orderId)).slice(4)).toEqual([
      'payment-service: ended',
      'payment-service: ended',
      'inventory-service: ended',
    ])
    await world.expectReplayed()
  })

  test('to a saga that nobody knows are noted, counted, and change nothing', async () => {
    const orderId = await one.place()
    await world.owner.query('delete from saga_log')
    await world.owner.query('delete from saga')
    await one.handle(ok(orderId, 'reserve', 'do'))
    expect((await world.timelineOf(orderId)).at(-1)).toMatchObject({
      type: 'stock.reserve.replied.v1',
      detail: { note: 'unknown-saga' },
    })
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'pending' })
    expect(await world.sentFor(orderId)).toHaveLength(2)
  })

  test('of another amount than was ordered are dead letters', async () => {
    const orderId = await one.place()
    await one.handle(ok(orderId, 'reserve', 'do'))
    await world.owner.query('update orders set amount_minor = amount_minor + 1')
    await one.handle(ok(orderId, 'charge', 'do'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'pending' })
    const sql = 'select status, error_message from parked_message where key = $1'
    expect(await world.owner.query(sql, [orderId])).toEqual([
      { status: 'dead', error_message: expect.stringContaining('captured were 9000') },
    ])
  })
})

describe('the deadline', () => {
  test('of an orchestrated order is that of its saga: the deadline of the orders leaves it alone', async () => {
    const orderId = await one.place(1)
    await world.owner.query(`update orders set due_at = now() - interval '1 minute'`)
    expect(await cancelOverdue({ database: world.database, namespace }, 10)).toBe(0)
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'pending' })
    expect(await one.timers()).toBe(1)
    expect(await world.orderOf(orderId)).toMatchObject({ cancel_reason: 'deadline-passed' })
    expect((await world.timelineOf(orderId)).map((entry) => entry['type'])).toEqual([
      'order.placed.v1',
      'stock.reserve.v1',
      'deadline.passed',
      'order.cancelling.v1',
      'stock.release.v1',
    ])
    await world.expectReplayed()
  })

  test('while the card is charged undoes the charge too, whose outcome is unknown, and it first', async () => {
    const orderId = await one.place(300_000)
    await one.handle(ok(orderId, 'reserve', 'do'))
    await world.owner.query(
      `update saga set deadline_at = date_trunc('milliseconds', now()), due_at = now()`,
    )
    await one.timers()
    await one.handle(ok(orderId, 'charge', 'undo'))
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await world.sentFor(orderId)).toEqual([
      'order.placed',
      'stock.reserve #1',
      'payment.capture #1',
      'order.cancelling',
      'payment.refund #1',
      'stock.release #1',
      'order.cancelled',
    ])
  })
})

describe('a cancel by the customer', () => {
  test.each([
    ['while stock is reserved', [], ['stock.release #1']],
    ['while the card is charged', ['reserve'], ['payment.refund #1', 'stock.release #1']],
  ] as const)('%s undoes everything from there', async (_, done, undone) => {
    const orderId = await one.place()
    for (const step of done) await one.handle(ok(orderId, step, 'do'))
    const before = (await world.sentFor(orderId)).length
    expect(await one.cancel(orderId)).toBe('cancelling')
    expect(await one.cancel(orderId)).toBe('already')
    if (done.length > 0) await one.handle(ok(orderId, 'charge', 'undo'))
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await one.cancel(orderId)).toBe('already')
    expect(await world.orderOf(orderId)).toEqual({
      status: 'cancelled',
      cancel_reason: 'customer-request',
    })
    const after = (await world.sentFor(orderId)).slice(before)
    expect(after).toEqual(['order.cancelling', ...undone, 'order.cancelled'])
    expect((await world.timelineOf(orderId)).map((entry) => entry['type'])).toContain(
      'cancel.requested',
    )
    await world.expectReplayed()
  })

  test('behind the pivot is refused and leaves no trace', async () => {
    const orderId = await one.place()
    await one.handle(ok(orderId, 'reserve', 'do'), ok(orderId, 'charge', 'do'))
    const before = await world.logOf(orderId)
    expect(await one.cancel(orderId)).toBe('confirmed')
    expect(await world.logOf(orderId)).toEqual(before)
  })

  test('racing the last answer: either it is confirmed, or it is undone, and every log says how', async () => {
    const ends = new Map<string, number>()
    for (let round = 0; round < 30; round += 1) {
      const orderId = await one.place()
      await one.handle(ok(orderId, 'reserve', 'do'))
      const [cancelled] = await Promise.all([
        one.cancel(orderId),
        two.handle(ok(orderId, 'charge', 'do')),
      ])
      const order = await world.orderOf(orderId)
      const status = String(order?.['status'])
      expect([cancelled, status]).toEqual(
        cancelled === 'confirmed' ? ['confirmed', 'confirmed'] : ['cancelling', 'cancelling'],
      )
      ends.set(status, (ends.get(status) ?? 0) + 1)
      const facts = (await world.sentFor(orderId)).filter((name) => name.startsWith('order.'))
      expect(facts).toEqual(['order.placed', `order.${status}`])
    }
    expect(await world.expectReplayed()).toBe(30)
    expect([...ends.values()].reduce((sum, n) => sum + n, 0)).toBe(30)
  })
})

describe('several processes', () => {
  test('with one answer at once: it is folded once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const orderId = await one.place()
      const reserved = ok(orderId, 'reserve', 'do')
      await Promise.all([one.handle(reserved), two.handle(reserved)])
      expect((await world.logOf(orderId)).slice(1)).toEqual(['inventory-service: done'])
    }
    await world.expectReplayed()
  })

  test('with a timer and the answer at once: asked again or not, it goes on once', async () => {
    for (let round = 0; round < 20; round += 1) {
      const orderId = await one.place()
      await world.owner.query('update saga set due_at = now() where id = $1', [orderId])
      await Promise.all([one.timers(), two.handle(ok(orderId, 'reserve', 'do'))])
      const notes = (await world.logOf(orderId)).slice(1)
      expect(notes.filter((note) => note === 'inventory-service: done')).toHaveLength(1)
      expect(notes.filter((note) => note.startsWith('timer')).length).toBeLessThanOrEqual(1)
      expect(await world.sagaOf(orderId)).toMatchObject({ step: 'charge', attempt: 1 })
    }
    await world.expectReplayed()
  })

  test('run the timer of a saga once: the other passes over it', async () => {
    const orderIds = await Promise.all(Array.from({ length: 40 }, () => one.place()))
    await world.owner.query('update saga set due_at = now()')
    const counts = await Promise.all([one.timers(), two.timers(), one.timers(), two.timers()])
    expect(counts.reduce((sum, n) => sum + n, 0)).toBe(40)
    for (const orderId of orderIds) {
      expect(await world.sentFor(orderId)).toEqual([
        'order.placed',
        'stock.reserve #1',
        'stock.reserve #2',
      ])
    }
    await world.expectReplayed()
  })

  test('with batches over the same sagas in opposite orders do not deadlock', async () => {
    const orderIds = await Promise.all(Array.from({ length: 50 }, () => one.place()))
    for (const [step, direction] of [
      ['reserve', 'do'],
      ['charge', 'do'],
    ] as const) {
      const batch = orderIds.map((orderId) => ok(orderId, step, direction))
      const again = orderIds.map((orderId) => ok(orderId, step, direction)).toReversed()
      await Promise.all([one.handle(...batch), two.handle(...again), one.timers()])
    }
    expect(
      await world.owner.query(
        `select (select count(*)::int from orders where status = 'confirmed') as confirmed,
           (select count(*)::int from outbox where type = 'order.confirmed.v1') as announced`,
      ),
    ).toEqual([{ confirmed: 50, announced: 50 }])
    expect(await world.expectReplayed()).toBe(50)
  })
})

describe('a transport that is away', () => {
  test('uses up nothing: no command is sent again while one has not left, and no silence counts', async () => {
    const orderId = await one.place()
    await world.owner.query(
      `update outbox set created_at = now() - interval '1 minute' where transport = 'rabbitmq'`,
    )
    for (let n = 0; n < 3; n += 1) await one.due(orderId)
    expect((await world.logOf(orderId)).slice(1)).toEqual(Array(3).fill('timer: postponed'))
    expect(await world.sagaOf(orderId)).toMatchObject({ attempt: 1 })
    await world.owner.query('delete from outbox')
    await one.due(orderId)
    expect(await world.sentFor(orderId)).toEqual(['stock.reserve #2'])
    await world.expectReplayed()
  })
})

describe('versions of the definition', () => {
  const v1 = fulfilmentVersion(1)
  const v2 = fulfilmentVersion(2)

  test('each saga ends under the one that it was started with', async () => {
    const old = world.process({ registry: createSagaRegistry([v1]), starts: v1 })
    const both = world.process({ registry: createSagaRegistry([v1, v2]), starts: v2 })
    const [first, second] = [await old.place(), await both.place()]
    for (const orderId of [first, second]) {
      await both.handle(ok(orderId, 'reserve', 'do'), ok(orderId, 'charge', 'do'))
      expect(await world.orderOf(orderId)).toMatchObject({ status: 'confirmed' })
    }
    expect(
      await world.owner.query('select definition_version from saga order by started_at, id'),
    ).toEqual([{ definition_version: 1 }, { definition_version: 2 }])
    await world.expectReplayed({ registry: createSagaRegistry([v1, v2]), starts: v2 })
  })

  test('one that a process does not know: its answers are left to others, and so are its timers', async () => {
    const orderId = await one.place()
    const without = world.process({ registry: createSagaRegistry([v2]), starts: v2 })
    const reserved = ok(orderId, 'reserve', 'do')
    const refused = await without.handle(reserved).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(AppError)
    // Not acknowledged, no attempt used: the consumer pauses, and the broker still has it.
    expect(refused).toMatchObject({ retry: 'transient-everything' })
    expect(await without.due(orderId)).toBe(0)
    await expect(without.cancel(orderId)).rejects.toThrow('order-fulfilment@1')
    expect(await world.logOf(orderId)).toEqual(['customer: started'])
    await one.handle(reserved)
    expect((await world.logOf(orderId)).at(-1)).toBe('inventory-service: done')
    await world.expectReplayed()
  })
})

describe('a row of a saga', () => {
  test('that has ended cannot be taken back by any statement of the service', async () => {
    const orderId = await one.place()
    await one.handle(not(orderId, 'reserve', 'do', { outcome: 'refused' }))
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'compensated' })
    await expect(world.rewrite(orderId, 'running')).rejects.toThrow('saga_')
  })

  test('and its log can be deleted by nobody but the owner', async () => {
    await one.place()
    for (const table of ['saga', 'saga_log', 'saga_intervention']) {
      await expect(world.asService(`delete from ${table}`)).rejects.toThrow('permission denied')
    }
    await expect(world.asService(`update saga_log set note = 'done'`)).rejects.toThrow(
      'permission denied',
    )
  })

  test('that cannot be decided is left due and does not hold up the others', async () => {
    const [broken, healthy] = [await one.place(), await one.place()]
    await world.owner.query(`update saga set context = '{}' where id = $1`, [broken])
    await world.owner.query(`update saga set due_at = now() - interval '1 s' where id = $1`, [
      broken,
    ])
    expect(await one.due(healthy)).toBe(1)
    expect((await world.logOf(healthy)).at(-1)).toBe('timer: resent')
    expect(await world.logOf(broken)).toEqual(['customer: started'])
  })
})
