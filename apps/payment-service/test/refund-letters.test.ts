import { randomUUID } from 'node:crypto'
import {
  addressedTo,
  compose,
  type ComposedMessage,
  messageDiscardV1,
  messageRedriveV1,
  outgoing,
  type Outgoing,
} from '@edp/event-schemas'
import { waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { dueWorkConsumer } from '../src/refund-letter.ts'
import {
  amountMinor,
  cancelling,
  capture,
  createWorld,
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

// It goes on trying by itself only after minutes: whatever is tried here was asked for.
const patient = { REFUND_RETRY_BASE_MS: '300000', REFUND_RETRY_CAP_MS: '300000' }

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  work = await world.startWork(patient)
  orderId = newOrderId()
})
afterEach(() => world.stopWork())

function asCommand(message: Outgoing): ComposedMessage {
  const origin = { source: 'dlq-alerter', namespace: 'test', now: new Date() }
  return compose(message, { ...origin, coordination: 'choreographed' })
}

function redrive(redriveId: string): ComposedMessage {
  const body = { consumer: dueWorkConsumer, messageId: orderId, redriveId, by: 'ada' }
  const contract = addressedTo(messageRedriveV1, 'payment-service')
  return asCommand(outgoing(contract, orderId, { ...body, body: null, message: null }))
}

function discard(): ComposedMessage {
  const body = { consumer: dueWorkConsumer, messageId: orderId, by: 'ada', why: 'paid by hand' }
  return asCommand(outgoing(addressedTo(messageDiscardV1, 'payment-service'), orderId, body))
}

function untilSaid(count: number): Promise<Sent[]> {
  return waitFor(() => world.said(orderId), {
    message: `${count} facts of the letter`,
    until: (said) => said.length >= count,
  })
}

const repair = () =>
  world.gateway(`/charges/${encodeURIComponent(`${orderId}/charge/do`)}/repair`, 'POST')

const styles = {
  choreographed: [() => reserved(orderId, 'tok_refund_fails'), () => cancelling(orderId)],
  orchestrated: [() => capture(orderId, 'tok_refund_fails'), () => refund(orderId)],
} as const

describe.each(['choreographed', 'orchestrated'] as const)('a refund that fails, %s', (style) => {
  const [charge, undo] = styles[style]

  beforeEach(async () => {
    await work.deliver(charge())
    await world.untilSent(orderId, 'payment.captured.v1')
    await work.deliver(undo())
    await untilSaid(1)
  })

  test('is a dead letter, in the transaction that says that it has failed', async () => {
    const [letter] = await world.said(orderId)
    expect(letter).toMatchObject({
      type: 'message.dead-lettered.v1',
      body: {
        consumer: dueWorkConsumer,
        messageId: orderId,
        source: 'due-work',
        key: orderId,
        reason: 'permanent',
        error: { code: 'refund-refused' },
      },
      headers: { ce_coordination: style },
    })
    expect(await world.payment(orderId)).toMatchObject({
      status: 'refund_failed',
      is_dead_lettered: true,
    })
  })

  test('is tried again by a redrive, and its letter is resolved with the refund', async () => {
    const [first, second] = [randomUUID(), randomUUID()]
    await work.command(redrive(first))
    const failedAgain = (await untilSaid(2))[1]
    expect(failedAgain?.body).toMatchObject({ redriveId: first })
    await repair()
    await work.command(redrive(second))
    const resolved = (await untilSaid(3))[2]
    expect(resolved).toMatchObject({
      type: 'message.resolved.v1',
      body: { outcome: 'applied', redriveId: second },
    })
    const refunds = (await world.sent(orderId)).filter(({ type }) => type === 'payment.refunded.v1')
    expect(refunds.map(({ body }) => body)).toEqual([{ orderId, amountMinor, currency: 'EUR' }])
    await work.command(redrive(randomUUID()))
    expect((await untilSaid(4))[3]?.body).toMatchObject({ outcome: 'already-applied' })
  })

  test('whose letter is discarded is still owed, and its success is not told of the letter', async () => {
    await work.command(discard())
    expect((await untilSaid(2))[1]?.body).toMatchObject({ outcome: 'discarded' })
    expect(await world.payment(orderId)).toMatchObject({
      status: 'refund_failed',
      is_dead_lettered: false,
    })
    await repair()
    await world.db.query('update payments set due_at = now() where order_id = $1', [orderId])
    await world.untilSent(orderId, 'payment.refunded.v1')
    expect(await world.said(orderId)).toHaveLength(2)
  })
})
