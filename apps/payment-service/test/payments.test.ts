import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { waitFor } from '@edp/testkit'
import {
  amountMinor,
  cancelling,
  createWorld,
  holdAnswers,
  newOrderId,
  reserved,
  type Work,
  type World,
} from './world.ts'

let world: World
let work: Work

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

beforeEach(async () => {
  work = await world.startWork()
})
afterEach(() => world.stopWork())

function types(events: readonly { type: string }[]): string[] {
  return events.map((event) => event.type)
}

describe('the story of each test token', () => {
  test.each([
    'tok_ok',
    'tok_slow',
    'tok_timeout_after_charge',
    'tok_5xx_twice',
    'tok_refund_fails',
  ])('%s is charged once and told once', async (token) => {
    const orderId = newOrderId()
    const cause = reserved(orderId, token)
    await work.deliver(cause)
    const events = await world.untilSent(orderId, 'payment.captured.v1')
    const charge = await world.charge(orderId)
    expect(charge).toMatchObject({ status: 'captured', amountMinor })
    expect(events.map((event) => event.body)).toEqual([
      { orderId, chargeId: charge?.['chargeId'], amountMinor, currency: 'EUR' },
    ])
    expect(events[0]?.headers).toMatchObject({
      ce_source: 'payment-service',
      ce_causationid: cause.id,
      ce_correlationid: orderId,
      ce_coordination: 'choreographed',
      ce_traceparent: cause.headers['ce_traceparent'],
    })
    expect(await world.payment(orderId)).toMatchObject({ status: 'captured', due_at: null })
  })

  test.each([
    ['tok_declined', 'card_declined'],
    ['tok_unknown', 'invalid_token'],
  ])('%s is declined as %s', async (token, code) => {
    const orderId = newOrderId()
    await work.deliver(reserved(orderId, token))
    const events = await world.untilSent(orderId, 'payment.declined.v1')
    expect(events.map((event) => event.body)).toEqual([{ orderId, code }])
    expect(await world.payment(orderId)).toMatchObject({ status: 'declined', decline_code: code })
  })

  test('tok_5xx_twice is not asked again before the Retry-After of the gateway is over', async () => {
    const orderId = newOrderId()
    const startedMs = performance.now()
    await work.deliver(reserved(orderId, 'tok_5xx_twice'))
    await world.untilSent(orderId, 'payment.captured.v1')
    expect(performance.now() - startedMs).toBeGreaterThan(990)
  })

  test('tok_refund_fails is shown as a failed refund until it is repaired, and then told', async () => {
    const orderId = newOrderId()
    await work.deliver(reserved(orderId, 'tok_refund_fails'))
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.deliver(cancelling(orderId))
    const failed = await waitFor(() => world.payment(orderId), {
      message: 'two refused refunds',
      until: (row) => Number(row?.['attempts']) >= 2,
    })
    expect(failed).toMatchObject({ status: 'refund_failed', refunded_minor: 0 })
    expect(types(await world.sent(orderId))).toEqual(['payment.captured.v1'])
    await world.gateway(`/charges/${encodeURIComponent(`${orderId}/charge/do`)}/repair`, 'POST')
    const events = await world.untilSent(orderId, 'payment.refunded.v1')
    expect(events.at(-1)?.body).toEqual({ orderId, amountMinor, currency: 'EUR' })
    expect(await world.payment(orderId)).toMatchObject({ status: 'refunded' })
  })
})

describe('the undo of an order', () => {
  test('before its stock was reserved leaves a tombstone: it is never charged', async () => {
    const orderId = newOrderId()
    const undo = cancelling(orderId)
    await work.deliver(undo)
    await work.deliver(reserved(orderId, 'tok_ok'))
    expect(await world.sent(orderId)).toMatchObject([
      {
        type: 'payment.refunded.v1',
        body: { orderId, amountMinor: 0, currency: 'EUR' },
        headers: { ce_causationid: undo.id },
      },
      { type: 'payment.declined.v1', body: { orderId, code: 'cancelled' } },
    ])
    expect(await world.payment(orderId)).toBeUndefined()
    expect(await world.charge(orderId)).toBeUndefined()
  })

  test('in the batch of its reservation, before it, leaves a tombstone too', async () => {
    const orderId = newOrderId()
    await work.deliver(cancelling(orderId), reserved(orderId, 'tok_ok'))
    expect(types(await world.sent(orderId))).toEqual(['payment.refunded.v1', 'payment.declined.v1'])
    expect(await world.charge(orderId)).toBeUndefined()
  })

  test('in the batch of its reservation, behind it, closes the key at the gateway', async () => {
    const orderId = newOrderId()
    await work.deliver(reserved(orderId, 'tok_ok'), cancelling(orderId))
    const events = await world.untilSent(orderId, 'payment.refunded.v1')
    expect(events.map((event) => event.body)).toEqual([
      { orderId, amountMinor: 0, currency: 'EUR' },
    ])
    expect(await world.charge(orderId)).toMatchObject({ status: 'voided' })
    expect(await world.payment(orderId)).toMatchObject({ status: 'void' })
  })

  test('while it is being charged gives the money back, and the capture is never told', async () => {
    const orderId = newOrderId()
    const undo = cancelling(orderId)
    using answers = holdAnswers()
    await work.deliver(reserved(orderId, 'tok_slow'))
    await answers.firstCame
    await work.deliver(undo)
    answers.letGo()
    const events = await world.untilSent(orderId, 'payment.refunded.v1')
    expect(events).toMatchObject([
      { body: { orderId, amountMinor, currency: 'EUR' }, headers: { ce_causationid: undo.id } },
    ])
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
    expect(await world.payment(orderId)).toMatchObject({
      status: 'refunded',
      refunded_minor: amountMinor,
    })
  })

  test('after a charge that timed out gives back what was charged', async () => {
    const orderId = newOrderId()
    using answers = holdAnswers()
    await work.deliver(reserved(orderId, 'tok_timeout_after_charge'))
    await answers.firstCame
    await waitFor(() => world.charge(orderId), { message: 'charged' })
    await work.deliver(cancelling(orderId))
    answers.letGo()
    const events = await world.untilSent(orderId, 'payment.refunded.v1')
    expect(events.map((event) => event.body)).toEqual([{ orderId, amountMinor, currency: 'EUR' }])
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
  })

  test('after the capture refunds it, and asks the gateway for nothing when it comes again', async () => {
    const orderId = newOrderId()
    await work.deliver(reserved(orderId, 'tok_ok'))
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.deliver(cancelling(orderId))
    await world.untilSent(orderId, 'payment.refunded.v1')
    await work.deliver(cancelling(orderId))
    await work.deliver(reserved(orderId, 'tok_ok'))
    const events = await world.sent(orderId)
    const refunded = { orderId, amountMinor, currency: 'EUR' }
    expect(events.map((event) => [event.type, event.body])).toEqual([
      ['payment.captured.v1', expect.objectContaining({ orderId, amountMinor })],
      ['payment.refunded.v1', refunded],
      // The same answers to the same questions under new ids.
      ['payment.refunded.v1', refunded],
      ['payment.captured.v1', events[0]?.body],
    ])
    expect(await world.payment(orderId)).toMatchObject({ status: 'refunded' })
  })

  test('of a declined payment answers that nothing went back', async () => {
    const orderId = newOrderId()
    await work.deliver(reserved(orderId, 'tok_declined'))
    await world.untilSent(orderId, 'payment.declined.v1')
    await work.deliver(cancelling(orderId, 'payment-declined'))
    const events = await world.sent(orderId)
    expect(types(events)).toEqual(['payment.declined.v1', 'payment.refunded.v1'])
    expect(events[1]?.body).toEqual({ orderId, amountMinor: 0, currency: 'EUR' })
  })

  test('asked for twice while it is under way is answered once', async () => {
    const orderId = newOrderId()
    using answers = holdAnswers()
    await work.deliver(reserved(orderId, 'tok_slow'))
    await answers.firstCame
    await work.deliver(cancelling(orderId), cancelling(orderId))
    await work.deliver(cancelling(orderId))
    answers.letGo()
    await world.untilSent(orderId, 'payment.refunded.v1')
    await work.stop()
    expect(types(await world.sent(orderId))).toEqual(['payment.refunded.v1'])
  })
})

test('everything delivered twice, in one batch and again later, changes nothing', async () => {
  const paid = newOrderId()
  const declined = newOrderId()
  const undone = newOrderId()
  const messages = [
    reserved(paid, 'tok_ok'),
    reserved(declined, 'tok_declined'),
    reserved(undone, 'tok_ok'),
    cancelling(undone),
  ]
  await work.deliver(...messages, ...messages)
  await world.untilSent(paid, 'payment.captured.v1')
  await world.untilSent(declined, 'payment.declined.v1')
  await world.untilSent(undone, 'payment.refunded.v1')
  await work.deliver(...messages)
  await work.deliver(...messages.toReversed())
  await work.stop()
  expect(types(await world.sent(paid))).toEqual(['payment.captured.v1'])
  expect(types(await world.sent(declined))).toEqual(['payment.declined.v1'])
  expect(types(await world.sent(undone))).toEqual(['payment.refunded.v1'])
})
