import { describe, expect, test } from 'vitest'
import { type Envelope, newMessageId } from './envelope.ts'
import { fromHeaders, toHeaders, typeFromHeaders } from './headers.ts'

const plain: Envelope = {
  id: newMessageId(),
  source: 'order-service',
  type: 'order.placed.v1',
  subject: 'order-1',
  time: '2026-01-02T03:04:05.678Z',
  datacontenttype: 'application/json',
  correlationid: 'order-1',
  coordination: 'choreographed',
}
const full: Envelope = {
  ...plain,
  causationid: newMessageId(),
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  coordination: 'orchestrated',
  sagaid: 'order-1',
  step: 'charge',
  direction: 'undo',
  attempt: 2,
}

describe.each(['kafka', 'rabbitmq'] as const)('over %s', (transport) => {
  test.each([
    ['with every attribute', full],
    ['with the least', plain],
  ])('an envelope %s reads back', (_, envelope) => {
    expect(fromHeaders(transport, toHeaders(transport, envelope))).toEqual({ ok: true, envelope })
  })

  test('every header is text, and what is absent is left out', () => {
    const headers = toHeaders(transport, { ...full, causationid: undefined })
    expect(Object.values(headers).every((value) => typeof value === 'string')).toBe(true)
    expect(Object.keys(headers).filter((name) => name.endsWith('causationid'))).toEqual([])
  })

  test('headers of others are ignored', () => {
    const headers = { ...toHeaders(transport, plain), 'x-retries': '3', other: undefined }
    expect(fromHeaders(transport, headers)).toEqual({ ok: true, envelope: plain })
  })

  test('the type is read from its header alone', () => {
    expect(typeFromHeaders(transport, toHeaders(transport, plain))).toBe('order.placed.v1')
    expect(typeFromHeaders(transport, {})).toBeUndefined()
  })
})

test('the headers are those of CloudEvents in binary mode', () => {
  expect(toHeaders('kafka', plain)).toMatchObject({
    ce_specversion: '1.0',
    ce_id: plain.id,
    ce_type: 'order.placed.v1',
    'content-type': 'application/json',
  })
  expect(toHeaders('rabbitmq', plain)).toMatchObject({ cloudEvents_specversion: '1.0' })
})

test('every problem of the headers is listed by its name', () => {
  const headers = {
    ...toHeaders('kafka', plain),
    ce_id: '4bf92f35-77b3-4da6-a3ce-929d0e0e4736',
    ce_time: 'yesterday',
    ce_coordination: undefined,
    ce_attempt: '0',
    'content-type': 'text/plain',
  }
  const reading = fromHeaders('kafka', headers)
  const problems = reading.ok ? [] : reading.problems
  expect(problems.map((problem) => problem.replace(/: .*/, '')).toSorted()).toEqual([
    'header ce_attempt',
    'header ce_coordination',
    'header ce_id',
    'header ce_time',
    'header content-type',
  ])
})

test('a time that Postgres cannot store is a problem, and no error of whoever stores it', () => {
  const reading = fromHeaders('kafka', {
    ...toHeaders('kafka', plain),
    ce_time: '0000-01-01T00:00:00Z',
  })
  expect(reading).toEqual({
    ok: false,
    problems: ['header ce_time: expected a year from 0001 on'],
  })
})
