import { describe, expect, test } from 'vitest'
import type { IncomingMessage } from './incoming-message.ts'
import { inboxIdOf, placeOf } from './inbox-id.ts'

const now = new Date('2026-03-10T15:00:00Z')
const window = { now, inboxRetentionDays: 8 }
const aDayMs = 86_400_000
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

function idAt(ms: number): string {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7abc-8def-0123456789ab`
}

function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

const record: IncomingMessage = {
  transport: 'kafka',
  position: 'edp.order.events/3@1207',
  headers: {},
  body: Buffer.from('x'),
  recordedAtMs: now.getTime() - 1000,
}
const delivery: IncomingMessage = {
  transport: 'rabbitmq',
  position: 'edp.payment.commands@delivery-1',
  headers: { a: '1', b: '2' },
  body: Buffer.from('x'),
}

test('an id is inside from the oldest day of the inbox to a day ahead', () => {
  const startOfOldest = Date.parse('2026-03-02T00:00:00Z')
  expect(placeOf(idAt(startOfOldest), window)).toBe('inside')
  expect(placeOf(idAt(startOfOldest - 1), window)).toBe('too-old')
  expect(placeOf(idAt(now.getTime() + aDayMs), window)).toBe('inside')
  expect(placeOf(idAt(now.getTime() + aDayMs + 1), window)).toBe('too-new')
})

describe('what the inbox knows a message by', () => {
  test('is its own id as Postgres spells it', () => {
    const id = idAt(now.getTime())
    const headers = { ce_id: id.toUpperCase() }
    expect(inboxIdOf({ ...record, headers }, window)).toBe(id)
  })

  test.each([
    ['none', undefined],
    ['no uuid', 'hello'],
    ['no v7', 'd9428888-122b-11e1-b85c-61cd3cbb3210'],
    ['too old', idAt(now.getTime() - 30 * aDayMs)],
    ['from the future', idAt(now.getTime() + 3 * aDayMs)],
  ])(
    'is derived when the id is %s: a uuid v7 inside the inbox, the same at every delivery',
    (_, id) => {
      const headers = { ce_id: id }
      const derived = inboxIdOf({ ...record, headers }, window)
      expect(derived).toMatch(uuidV7)
      expect(timeOf(derived)).toBe(record.recordedAtMs)
      expect(inboxIdOf({ ...record, headers }, { ...window, now: new Date(+now + 1e6) })).toBe(
        derived,
      )
    },
  )

  test('derived over Kafka is of the position, and over RabbitMQ of queue, headers and body', () => {
    const ids = [
      record,
      { ...record, position: 'edp.order.events/3@1208' },
      { ...record, position: 'edp.order.events/4@1207' },
      delivery,
      { ...delivery, position: 'edp.order.saga-replies@delivery-1' },
      { ...delivery, headers: { a: '1', b: '3' } },
      { ...delivery, body: Buffer.from('y') },
    ].map((message) => inboxIdOf(message, window))
    expect(new Set(ids).size).toBe(7)
    const again = { ...delivery, position: 'edp.payment.commands@delivery-9' }
    expect(inboxIdOf({ ...again, headers: { b: '2', a: '1' } }, window)).toBe(ids[3])
  })

  test('has the day as its time where the broker gives none, or one that the inbox cannot keep', () => {
    const startOfDay = Date.parse('2026-03-10T00:00:00Z')
    expect(timeOf(inboxIdOf(delivery, window))).toBe(startOfDay)
    const ancient = { ...record, recordedAtMs: now.getTime() - 30 * aDayMs }
    expect(timeOf(inboxIdOf(ancient, window))).toBe(startOfDay)
    expect(timeOf(inboxIdOf({ ...record, recordedAtMs: Number.NaN }, window))).toBe(startOfDay)
  })
})
