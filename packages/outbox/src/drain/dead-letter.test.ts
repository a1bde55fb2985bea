import { messageDeadLetteredV1 } from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { expect, test } from 'vitest'
import { composeDeadLetter, isDeadLetter, relayConsumer, textHeaders } from './dead-letter.ts'
import type { FetchedRow } from './window.ts'

const messageId = '01900000-0000-7000-8000-000000000001'
const place = {
  database: 'orders',
  transport: 'rabbitmq',
  namespace: 'test',
  now: new Date(0),
} as const
const error = new AppError('message-too-large', 'too large', { retry: 'permanent' })

function letterOf(row: Partial<FetchedRow>) {
  const whole = { id: 7, messageId: '', destination: 'd', key: 'k', type: '', payload: '{}' }
  const doomed = { messageId, type: 'test.counted.v1', error }
  const composed = composeDeadLetter(
    { ...doomed, row: { ...whole, headers: {}, bytes: 1, ...row } },
    place,
  )
  return { ...composed, body: messageDeadLetteredV1.body.parse(JSON.parse(composed.payload)) }
}

test('a letter of either transport goes by Kafka, under the id of the message that it is about', () => {
  const { transport, destination, key, headers } = letterOf({})
  expect([transport, destination, key]).toEqual(['kafka', 'test.dead-letters', messageId])
  expect(headers['ce_causationid']).toBe(messageId)
})

test('it carries 64 KiB of the body at most, whole characters, and says how many bytes there were', () => {
  const payload = JSON.stringify('€'.repeat(40_000))
  const { content } = letterOf({ payload }).body
  expect(Buffer.byteLength(content.body)).toBeLessThanOrEqual(64 * 1024)
  expect(payload.startsWith(content.body)).toBe(true)
  expect(content.bytes).toBe(120_002)
})

test('what the headers say of cause and style is in it', () => {
  const headersJson = JSON.stringify({
    cloudEvents_correlationid: 'order-1',
    cloudEvents_traceparent: '00-x',
    cloudEvents_coordination: 'orchestrated',
  })
  const { body, headers } = letterOf({ headersJson })
  expect(body).toMatchObject({ correlationId: 'order-1', causationId: null, traceparent: '00-x' })
  expect(headers['ce_coordination']).toBe('orchestrated')
})

test.each(['null', '5', '[1]', '"x"', '{"a":{"b":1}}', `{"a":"${'x'.repeat(100_000)}"}`])(
  'headers that are none make a letter all the same: %s',
  (headersJson) => {
    const { body, headers, payload } = letterOf({ headersJson })
    expect(body.position).toBe('outbox/rabbitmq/7')
    expect(headers['ce_coordination']).toBe('choreographed')
    expect(payload.length).toBeLessThan(10_000)
  },
)

test('letters of the same cause have one fingerprint', () => {
  expect(letterOf({ id: 1 }).body.fingerprint).toBe(letterOf({ id: 2, key: 'x' }).body.fingerprint)
})

test('a dead letter is known in every version', () => {
  const types = ['message.dead-lettered.v1', 'message.dead-lettered.v9', 'message.resolved.v1', '']
  expect(types.map(isDeadLetter)).toEqual([true, true, false, false])
})

test('the name of any database makes the name of a consumer', () => {
  expect(relayConsumer('Orders_EU')).toBe('outbox-relay.orders-eu')
})

test('headers are text by name', () => {
  expect(textHeaders('{"a":"b","c":1}')).toEqual({ a: 'b', c: '1' })
})
