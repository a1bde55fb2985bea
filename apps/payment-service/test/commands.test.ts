import { randomUUID } from 'node:crypto'
import {
  addressedTo,
  compose,
  type ComposedMessage,
  messageRedriveV1,
  outgoing,
} from '@edp/event-schemas'
import { waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  amountMinor,
  cancelling,
  capture,
  createWorld,
  holdAnswers,
  newOrderId,
  refund,
  reserved,
  type Sent,
  type Work,
  type World,
} from './world.ts'

let world: World
let work: Work
let orderId: string

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  work = await world.startWork()
  orderId = newOrderId()
})
afterEach(() => world.stopWork())

const captureReplied = 'payment.capture.replied.v1'
const refundReplied = 'payment.refund.replied.v1'

function types(events: readonly Sent[]): string[] {
  return events.map((event) => event.type)
}

/** Waits for so many messages of a type about the order, and gives all of it. */
function untilCount(type: string, count: number): Promise<Sent[]> {
  return waitFor(() => world.sent(orderId), {
    message: `${count} times ${type}`,
    until: (events) => types(events).filter((sent) => sent === type).length >= count,
  })
}

function bodies(events: readonly Sent[], type: string): unknown[] {
  return events.filter((event) => event.type === type).map((event) => event.body)
}

function replyBody(direction: 'do' | 'undo', attempt: number, answer: object): object {
  return { sagaId: orderId, step: 'charge', direction, attempt, ...answer }
}

/** A redrive of a capture that could not be read, with the body that it should have had. */
function redriveOf({ id: messageId, payload: body }: ComposedMessage): ComposedMessage {
  const target = { consumer: 'payment-service.rabbitmq', messageId }
  const command = { ...target, redriveId: randomUUID(), by: 'ada', body, message: null }
  const contract = addressedTo(messageRedriveV1, 'payment-service')
  return compose(outgoing(contract, messageId, command), {
    source: 'dlq-alerter',
    namespace: 'test',
    now: new Date(),
    coordination: 'choreographed',
  })
}

describe('payment.capture', () => {
  test('is charged once, told to everybody, and answered', async () => {
    const command = capture(orderId, 'tok_ok', 1)
    await work.deliver(command)
    const events = await world.untilSent(orderId, captureReplied)
    const charge = await world.charge(orderId)
    const result = { chargeId: charge?.['chargeId'], amountMinor, currency: 'EUR' }
    expect(events.map(({ type, body }) => [type, body])).toEqual([
      ['payment.captured.v1', { orderId, ...result }],
      [captureReplied, replyBody('do', 1, { outcome: 'ok', result })],
    ])
    expect(events[0]?.headers).toMatchObject({
      ce_coordination: 'orchestrated',
      ce_causationid: command.id,
    })
    expect(events[1]?.headers).toMatchObject({
      cloudEvents_coordination: 'orchestrated',
      cloudEvents_causationid: command.id,
      cloudEvents_sagaid: orderId,
      cloudEvents_step: 'charge',
      cloudEvents_direction: 'do',
      cloudEvents_attempt: '1',
      cloudEvents_traceparent: command.headers['cloudEvents_traceparent'],
    })
  })

  test('of an express order is answered on the express way, also by the process that finds it when the first one died', async () => {
    await world.deliverOnly(capture(orderId, 'tok_ok', 1, 'express'))
    const events = await world.untilSent(orderId, captureReplied)
    expect(events.map(({ type, destination }) => [type, destination])).toEqual([
      ['payment.captured.v1', expect.stringMatching(/payment\.events$/)],
      [captureReplied, expect.stringMatching(/order\.saga-replies\.express$/)],
    ])
    expect(
      events.map(({ headers }) => headers['ce_priority'] ?? headers['cloudEvents_priority']),
    ).toEqual(['express', 'express'])
    const standard = newOrderId()
    await work.deliver(capture(standard, 'tok_ok'))
    const reply = (await world.untilSent(standard, captureReplied)).at(-1)
    expect(reply?.destination).toMatch(/order\.saga-replies$/)
  })

  test('that is declined is told and answered with the code', async () => {
    await work.deliver(capture(orderId, 'tok_declined', 2))
    const events = await world.untilSent(orderId, captureReplied)
    expect(events.map(({ type, body }) => [type, body])).toEqual([
      ['payment.declined.v1', { orderId, code: 'card_declined' }],
      [captureReplied, replyBody('do', 2, { outcome: 'refused', reason: 'card_declined' })],
    ])
  })

  test('sent again under a new id while it is under way is answered once, and afterwards each time', async () => {
    using answers = holdAnswers()
    await work.deliver(capture(orderId, 'tok_slow', 1))
    await work.deliver(capture(orderId, 'tok_slow', 2))
    expect(await world.sent(orderId)).toEqual([])
    answers.letGo()
    await untilCount(captureReplied, 1)
    await work.deliver(capture(orderId, 'tok_slow', 3), capture(orderId, 'tok_slow', 4))
    const events = await untilCount(captureReplied, 3)
    const replies = bodies(events, captureReplied)
    expect(replies).toEqual([
      expect.objectContaining({ attempt: 1, outcome: 'ok' }),
      expect.objectContaining({ attempt: 3, outcome: 'ok' }),
      expect.objectContaining({ attempt: 4, outcome: 'ok' }),
    ])
    expect(new Set(events.map(({ headers }) => headers['cloudEvents_id'])).size).toBe(4)
    expect(bodies(events, 'payment.captured.v1')).toHaveLength(1)
    expect(await world.charge(orderId)).toMatchObject({ status: 'captured', amountMinor })
  })

  test('delivered again, also both copies in one batch, changes nothing', async () => {
    const command = capture(orderId, 'tok_ok')
    await work.deliver(command, command)
    await world.untilSent(orderId, captureReplied)
    await work.deliver(command)
    await work.stop()
    expect(types(await world.sent(orderId))).toEqual(['payment.captured.v1', captureReplied])
  })
})

describe('payment.refund', () => {
  test('after the capture gives the money back, once, and is answered each time', async () => {
    await work.deliver(capture(orderId, 'tok_ok'))
    await world.untilSent(orderId, captureReplied)
    await work.deliver(refund(orderId, 1))
    await untilCount(refundReplied, 1)
    await work.deliver(refund(orderId, 2))
    const events = await untilCount(refundReplied, 2)
    const result = { amountMinor, currency: 'EUR' }
    expect(bodies(events, 'payment.refunded.v1')).toEqual([{ orderId, ...result }])
    expect(bodies(events, refundReplied)).toEqual([
      replyBody('undo', 1, { outcome: 'ok', result }),
      replyBody('undo', 2, { outcome: 'ok', result }),
    ])
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
  })

  test('before its capture leaves a tombstone: the capture is refused and never charged', async () => {
    await work.deliver(refund(orderId))
    await work.deliver(capture(orderId, 'tok_ok'))
    const result = { amountMinor: 0, currency: 'EUR' }
    expect((await world.sent(orderId)).map(({ type, body }) => [type, body])).toEqual([
      ['payment.refunded.v1', { orderId, ...result }],
      [refundReplied, replyBody('undo', 1, { outcome: 'ok', result })],
      [captureReplied, replyBody('do', 1, { outcome: 'refused', reason: 'cancelled' })],
    ])
    expect(await world.charge(orderId)).toBeUndefined()
  })

  test('while its capture is dead leaves a tombstone, which the corrected capture meets when it is redriven', async () => {
    const dead = capture(orderId, 'tok_ok')
    await work.deliver({ ...dead, payload: '{' })
    expect(await world.said(dead.id)).toMatchObject([
      { type: 'message.dead-lettered.v1', body: { reason: 'poison' } },
    ])
    await work.deliver(refund(orderId))
    await work.command(redriveOf(dead))
    const said = await waitFor(() => world.said(dead.id), {
      message: 'the letter is resolved',
      until: (facts) => facts.length >= 2,
    })
    expect(said[1]).toMatchObject({
      type: 'message.resolved.v1',
      body: { outcome: 'applied' },
    })
    expect(types(await world.sent(orderId))).toEqual([
      'payment.refunded.v1',
      refundReplied,
      captureReplied,
    ])
    expect(bodies(await world.sent(orderId), captureReplied)).toEqual([
      replyBody('do', 1, { outcome: 'refused', reason: 'cancelled' }),
    ])
    expect(await world.charge(orderId)).toBeUndefined()
  })

  test('while it is being charged gives the money back, and the capture is never told', async () => {
    using answers = holdAnswers()
    await work.deliver(capture(orderId, 'tok_slow'))
    await answers.firstCame
    await work.deliver(refund(orderId))
    answers.letGo()
    const events = await untilCount(refundReplied, 1)
    expect(types(events)).toEqual(['payment.refunded.v1', refundReplied])
    expect(events[1]?.body).toMatchObject({ outcome: 'ok', result: { amountMinor } })
    expect(await world.charge(orderId)).toMatchObject({ status: 'refunded' })
  })

  test('that does not succeed is answered `failed` for each command that asks, and `ok` once it is repaired', async () => {
    await work.deliver(capture(orderId, 'tok_refund_fails'))
    await world.untilSent(orderId, captureReplied)
    await work.deliver(refund(orderId, 1))
    await untilCount(refundReplied, 1)
    // By itself it goes on trying, and tells nobody that it has failed once more.
    await waitFor(() => world.payment(orderId), {
      message: 'three refused refunds',
      until: (row) => Number(row?.['attempts']) >= 3,
    })
    expect(bodies(await world.sent(orderId), refundReplied)).toEqual([
      replyBody('undo', 1, { outcome: 'failed', reason: 'refund_failed' }),
    ])
    await work.deliver(refund(orderId, 2))
    await untilCount(refundReplied, 2)
    expect(await world.payment(orderId)).toMatchObject({ status: 'refund_failed' })
    await world.gateway(`/charges/${encodeURIComponent(`${orderId}/charge/do`)}/repair`, 'POST')
    const events = await untilCount(refundReplied, 3)
    expect(bodies(events, refundReplied)).toEqual([
      replyBody('undo', 1, { outcome: 'failed', reason: 'refund_failed' }),
      replyBody('undo', 2, { outcome: 'failed', reason: 'refund_failed' }),
      replyBody('undo', 2, { outcome: 'ok', result: { amountMinor, currency: 'EUR' } }),
    ])
    expect(bodies(events, 'payment.refunded.v1')).toHaveLength(1)
  })
})

test('capture and refund at once, in two processes, leave no money behind whichever was first', async () => {
  const other = await world.startWork()
  const orders = Array.from({ length: 30 }, newOrderId)
  await Promise.all(
    orders.flatMap((id, index) => {
      const [one, two] = index % 2 === 0 ? [work, other] : [other, work]
      return [one.deliver(capture(id, 'tok_ok')), two.deliver(refund(id))]
    }),
  )
  for (const id of orders) {
    const events = await world.untilSent(id, refundReplied)
    const [reply] = bodies(events, refundReplied)
    const charge = await world.charge(id)
    const wentBack = Number(charge?.['refundedMinor'] ?? 0)
    expect(reply).toMatchObject({ outcome: 'ok', result: { amountMinor: wentBack } })
    expect(charge?.['status']).not.toBe('captured')
    expect(bodies(events, 'payment.refunded.v1')).toHaveLength(1)
  }
})

test('facts of the other style are ignored, and a command of it is a dead letter, not done', async () => {
  const asCommand = capture(orderId, 'tok_ok')
  const asEvent = reserved(orderId, 'tok_ok')
  const undo = cancelling(orderId)
  await work.deliver(
    { ...asCommand, headers: { ...asCommand.headers, cloudEvents_coordination: 'choreographed' } },
    { ...asEvent, headers: { ...asEvent.headers, ce_coordination: 'orchestrated' } },
    { ...undo, headers: { ...undo.headers, ce_coordination: 'orchestrated' } },
  )
  expect(await world.payment(orderId)).toBeUndefined()
  expect(await world.sent(orderId)).toEqual([])
  const [letter] = await world.said(asCommand.id)
  expect(letter).toMatchObject({
    type: 'message.dead-lettered.v1',
    body: { consumer: 'payment-service.rabbitmq', reason: 'unknown-type', key: orderId },
  })
})
