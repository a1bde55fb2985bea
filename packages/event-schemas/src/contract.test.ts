import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  compose,
  type Contract,
  defineContract,
  outgoing,
  qualify,
  readBody,
  upcast,
} from './contract.ts'
import { parseType } from './envelope.ts'
import { fromHeaders } from './headers.ts'
import { orderPlacedV1 } from './order-events.ts'

const destination = { transport: 'kafka', topic: 'test.events' } as const

const nameV1 = defineContract({
  type: 'customer.named.v1',
  destination,
  body: z.object({ name: z.string() }),
})
const nameV2 = defineContract({
  type: 'customer.named.v2',
  destination,
  body: z.object({ first: z.string(), last: z.string() }),
  previous: upcast(nameV1, ({ name }) => {
    const [first = '', last = ''] = name.split(' ')
    return { first, last }
  }),
})
const nameV3 = defineContract({
  type: 'customer.named.v3',
  destination,
  body: z.object({ first: z.string(), last: z.string(), title: z.string().nullable() }),
  previous: upcast(nameV2, (old) => ({ ...old, title: null })),
})

describe('reading a body', () => {
  test('gives the body of the contract’s own version', () => {
    expect(readBody(nameV1, 'customer.named.v1', { name: 'Ada Lovelace' })).toEqual({
      ok: true,
      body: { name: 'Ada Lovelace' },
    })
  })

  test('makes the newest body of every older one', () => {
    expect(readBody(nameV3, 'customer.named.v1', { name: 'Ada Lovelace' })).toEqual({
      ok: true,
      body: { first: 'Ada', last: 'Lovelace', title: null },
    })
    expect(readBody(nameV3, 'customer.named.v2', { first: 'Ada', last: 'L' })).toEqual({
      ok: true,
      body: { first: 'Ada', last: 'L', title: null },
    })
  })

  test('checks an older body against its own version before it is changed', () => {
    expect(readBody(nameV3, 'customer.named.v1', { first: 'Ada', last: 'L' })).toMatchObject({
      ok: false,
      reason: 'poison',
      problems: [expect.stringMatching(/^body\.name: /)],
    })
  })

  test.each(['customer.named.v4', 'customer.renamed.v1'])(
    '%s is a version that is not known here, not poison',
    (type) => {
      expect(readBody(nameV3, type, { any: 'thing' })).toEqual({
        ok: false,
        reason: 'unknown-version',
        problems: [`no schema for ${type} here`],
      })
    },
  )

  test('ignores fields that it does not know: a producer may add one', () => {
    expect(readBody(nameV1, 'customer.named.v1', { name: 'Ada', age: 36 })).toEqual({
      ok: true,
      body: { name: 'Ada' },
    })
  })

  test('lists every problem of a poison body with its path', () => {
    const body = {
      orderId: 'not-a-uuid',
      customerId: '',
      lines: [{ sku: 'cup', quantity: 1.5, unitPriceMinor: '12' }],
      payment: { amountMinor: -1, currency: 'euro' },
      priority: 'standard',
    }
    const reading = readBody(orderPlacedV1, 'order.placed.v1', body)
    expect(reading).toMatchObject({ ok: false, reason: 'poison' })
    const problems = reading.ok ? [] : reading.problems
    expect(problems.map((problem) => problem.replace(/: .*/, ''))).toEqual([
      'body.orderId',
      'body.customerId',
      'body.lines.0.quantity',
      'body.lines.0.unitPriceMinor',
      'body.payment.amountMinor',
      'body.payment.currency',
      'body.payment.paymentRef',
    ])
  })

  test.each([null, undefined, 'text', 7, []])('%j is poison, not a crash', (body) => {
    expect(readBody(orderPlacedV1, 'order.placed.v1', body)).toMatchObject({ reason: 'poison' })
  })
})

describe('composing a message', () => {
  const origin = {
    source: 'test-service',
    namespace: 'ns',
    now: new Date('2026-01-02T03:04:05.678Z'),
    coordination: 'choreographed',
    causationId: 'cause-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  } as const

  test('gives it an envelope that reads back and a destination in the namespace', () => {
    const composed = compose(outgoing(nameV1, 'order-1', { name: 'Ada' }), origin)
    expect(composed).toMatchObject({
      transport: 'kafka',
      destination: 'ns.test.events',
      key: 'order-1',
      type: 'customer.named.v1',
      payload: '{"name":"Ada"}',
    })
    expect(fromHeaders('kafka', composed.headers)).toEqual({
      ok: true,
      envelope: {
        id: composed.id,
        source: 'test-service',
        type: 'customer.named.v1',
        subject: 'order-1',
        time: '2026-01-02T03:04:05.678Z',
        datacontenttype: 'application/json',
        correlationid: 'order-1',
        causationid: 'cause-1',
        traceparent: origin.traceparent,
        coordination: 'choreographed',
      },
    })
  })

  test('says in its headers which command of a saga it belongs to', () => {
    const command = { sagaid: 'order-1', step: 'charge', direction: 'undo', attempt: 3 } as const
    const replied = defineContract({
      type: 'payment.refund.replied.v1',
      destination: { transport: 'rabbitmq', exchange: 'replies', routingKey: 'saga-replies' },
      body: z.object({ outcome: z.string() }),
    })
    const message = outgoing(replied, 'order-1', { outcome: 'ok' }, command)
    const composed = compose(message, { ...origin, coordination: 'orchestrated' })
    expect(composed.destination).toBe('ns.replies/ns.saga-replies')
    expect(fromHeaders('rabbitmq', composed.headers)).toMatchObject({
      ok: true,
      envelope: { ...command, coordination: 'orchestrated' },
    })
  })

  describe('of an express order', () => {
    const queue = { transport: 'rabbitmq', exchange: 'commands', routingKey: 'work' } as const
    const type = 'work.do.v1'
    const express = { ...queue, express: 'work.express' }
    const doWork = defineContract({ type, destination: express, body: z.object({}) })
    const composed = (contract: Contract, priority?: 'standard' | 'express') =>
      compose(outgoing(contract, 'order-1', {}), { ...origin, priority })

    test('sends it to the queue of its class, and says so for those that answer', () => {
      const message = composed(doWork, 'express')
      expect(message.destination).toBe('ns.commands/ns.work.express')
      expect(fromHeaders('rabbitmq', message.headers)).toMatchObject({
        envelope: { priority: 'express' },
      })
    })

    test('leaves standard ones as they were before there were two', () => {
      const before = composed(doWork)
      const standard = composed(doWork, 'standard')
      expect([before.destination, standard.destination]).toEqual(
        Array(2).fill('ns.commands/ns.work'),
      )
      expect(Object.keys(standard.headers)).toEqual(Object.keys(before.headers))
      expect(Object.keys(before.headers).join()).not.toContain('priority')
    })

    test('sends it the one way that there is where there are no classes', () => {
      const plain = defineContract({ type, destination: queue, body: z.object({}) })
      expect(composed(plain, 'express').destination).toBe('ns.commands/ns.work')
    })
  })

  test('never gives two messages one id', () => {
    const message = outgoing(nameV1, 'order-1', { name: 'Ada' })
    const ids = Array.from({ length: 1000 }, () => compose(message, origin).id)
    expect(new Set(ids).size).toBe(1000)
    expect(ids).toEqual(ids.toSorted())
  })

  test('refuses a body that does not fit: the producer has a bug', () => {
    const message = { ...outgoing(nameV1, 'order-1', { name: 'Ada' }), body: { name: 7 } }
    expect(() => compose(message, origin)).toThrow(z.ZodError)
  })
})

test('a type without a version is no contract', () => {
  expect(() => defineContract({ type: 'order.placed', destination, body: z.string() })).toThrow(
    'has no version',
  )
})

test.each([
  ['order.placed.v1', { name: 'order.placed', version: 1 }],
  ['order.placed.v12', { name: 'order.placed', version: 12 }],
  ['order.placed', undefined],
  ['order.placed.v0', undefined],
  ['order.placed.v1.2', undefined],
  ['.v1', undefined],
])('the type %s is read', (type, parsed) => {
  expect(parseType(type)).toEqual(parsed)
})

test('a destination is qualified by the namespace', () => {
  expect(qualify(destination, 'edp')).toBe('edp.test.events')
})
