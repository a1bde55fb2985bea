import {
  compose,
  type Coordination,
  orderPlacedV1,
  outgoing,
  paymentCapturedV1,
  stockReleaseV1,
} from '@edp/event-schemas'
import { expect, test } from 'vitest'
import { consumer, on } from './handler.ts'
import type { IncomingMessage } from './incoming-message.ts'
import { readBatch } from './read-message.ts'

const nothing = { keys: () => ({}), decide: () => ({}) }
const store = { keyOf: {}, load: () => Promise.resolve({}), save: () => Promise.resolve() }
const orderId = '019ca8f0-0000-7000-8000-000000000001'
const now = new Date()

function read(message: IncomingMessage) {
  const handlers = [
    on(stockReleaseV1, nothing, { only: 'orchestrated' }),
    on(orderPlacedV1, nothing, { only: 'orchestrated' }),
  ]
  const only = consumer({ name: 'test', store, handlers })
  const { messages, skipped } = readBatch([message], {
    consumer: only,
    now,
    inboxRetentionDays: 8,
    payloadBytesMax: 1024,
  })
  const failures = messages.flatMap(({ failure }) => failure?.reason ?? [])
  return { read: messages.length - failures.length, skipped, failures }
}

const origin = {
  source: 'test',
  namespace: 'test',
  now,
  traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
}

function command(coordination: Coordination, type?: string): IncomingMessage {
  const headers = { sagaid: orderId, step: 'reserve', direction: 'undo', attempt: 1 } as const
  const message = compose(outgoing(stockReleaseV1, orderId, { orderId }, headers), {
    ...origin,
    coordination,
  })
  return delivered('rabbitmq', message, type && { cloudEvents_type: type })
}

function fact(coordination: Coordination): IncomingMessage {
  const body = { orderId, chargeId: 'c', amountMinor: 5, currency: 'EUR' }
  const message = compose(outgoing(paymentCapturedV1, orderId, body), { ...origin, coordination })
  return delivered('kafka', message)
}

function delivered(
  transport: IncomingMessage['transport'],
  { headers, payload }: ReturnType<typeof compose>,
  others: Record<string, string> | '' | undefined = {},
): IncomingMessage {
  const all = { ...headers, ...others }
  return { transport, position: 'here', headers: all, body: Buffer.from(payload) }
}

test('a command of this consumer is read', () => {
  expect(read(command('orchestrated'))).toEqual({ read: 1, skipped: 0, failures: [] })
})

test('a body that is not UTF-8 is poison, also where nobody would have looked', () => {
  const message = command('orchestrated')
  const start = Buffer.from(message.body).subarray(0, -1)
  const ended = (note: Buffer): IncomingMessage => ({
    ...message,
    body: Buffer.concat([start, Buffer.from(',"note":"'), note, Buffer.from('"}')]),
  })
  expect(read(ended(Buffer.from('é')))).toEqual({ read: 1, skipped: 0, failures: [] })
  const latin1 = ended(Buffer.from('é', 'latin1'))
  expect(read(latin1)).toEqual({ read: 0, skipped: 0, failures: ['poison'] })
})

test('a command that nobody here handles is never acknowledged as if it were done', () => {
  const expected = { read: 0, skipped: 0, failures: ['unknown-type'] }
  expect(read(command('orchestrated', 'stock.count.v1'))).toEqual(expected)
  expect(read(command('choreographed'))).toEqual(expected)
})

test('a fact that is of no use here is skipped', () => {
  expect(read(fact('choreographed'))).toEqual({ read: 0, skipped: 1, failures: [] })
  expect(read(fact('orchestrated'))).toEqual({ read: 0, skipped: 1, failures: [] })
})
