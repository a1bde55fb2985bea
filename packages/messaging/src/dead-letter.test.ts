import { compose, type MessageDeadLetteredV1, messageDeadLetteredV1 } from '@edp/event-schemas'
import { describe, expect, test } from 'vitest'
import { type DeadMessage, deadLetter, originOfLetter } from './dead-letter.ts'

const at = new Date('2026-03-10T15:00:00Z')
const sender = { source: 'test', namespace: 'edp', now: at }
const dead: DeadMessage = {
  consumer: 'inventory-service.kafka',
  messageId: '019ca8f0-0000-7000-8000-000000000001',
  incoming: {
    transport: 'kafka',
    position: 'edp.order.events/3@1207',
    headers: { ce_type: 'order.placed.v1', ce_subject: 'order-1', ce_correlationid: 'order-1' },
    body: Buffer.from('{}'),
  },
  failure: { code: 'poison', message: 'no', stack: null },
  reason: 'poison',
  attempts: 1,
  firstFailedAt: at,
  lastFailedAt: at,
  redriveId: null,
}

function letterOf(change: Partial<DeadMessage['incoming']>): MessageDeadLetteredV1 {
  const letter = deadLetter({ ...dead, incoming: { ...dead.incoming, ...change } })
  return messageDeadLetteredV1.body.parse(letter.body)
}

describe('a dead letter', () => {
  test('says what its message was and what it failed with', () => {
    expect(letterOf({})).toMatchObject({
      source: 'kafka',
      type: 'order.placed.v1',
      key: 'order-1',
      correlationId: 'order-1',
      causationId: null,
      content: { body: '{}', encoding: 'utf8', bytes: 2, headers: dead.incoming.headers },
    })
  })

  test('carries the first 64 KiB of a long body, cut between two characters', () => {
    const body = Buffer.from(`x${'ä'.repeat(50_000)}`)
    const { content } = letterOf({ body })
    expect(content.bytes).toBe(100_001)
    expect(Buffer.byteLength(content.body)).toBe(64 * 1024 - 1)
    expect(content.body).not.toContain('\u{FFFD}')
  })

  test('carries bytes that are no text in base64', () => {
    const body = Buffer.from([0x7b, 0xff, 0x00])
    const { content } = letterOf({ body })
    expect(content).toMatchObject({ encoding: 'base64', bytes: 3 })
    expect(Buffer.from(content.body, 'base64')).toEqual(body)
    const long = letterOf({ body: Buffer.alloc(100_000, 0xff) })
    expect(Buffer.from(long.content.body, 'base64')).toHaveLength(64 * 1024)
  })

  test('fits into its topic, whatever the message was', () => {
    const huge = '\u0001'.repeat(1024 * 1024)
    const headers = { ce_type: huge, ce_subject: huge, ce_id: huge, ce_traceparent: huge, x: huge }
    const incoming = { ...dead.incoming, headers, body: Buffer.from(huge) }
    const stack = '\u0001'.repeat(8 * 1024)
    const failure = { code: 'x', message: '\u0001'.repeat(4096), stack }
    const letter = deadLetter({ ...dead, incoming, failure })
    const composed = compose(letter, originOfLetter(incoming, sender))
    const bytes = composed.payload.length + JSON.stringify(composed.headers).length
    expect(bytes).toBeLessThan(1024 * 1024)
  })

  test('is caused by its message and of its style, where that is known', () => {
    const headers = { cloudEvents_id: 'm-1', cloudEvents_coordination: 'orchestrated' }
    expect(originOfLetter({ transport: 'rabbitmq', headers }, sender)).toEqual({
      ...sender,
      coordination: 'orchestrated',
      causationId: 'm-1',
    })
    const broken = { ce_id: '', ce_coordination: 'by chance' }
    expect(originOfLetter({ transport: 'kafka', headers: broken }, sender)).toEqual({
      ...sender,
      coordination: 'choreographed',
    })
  })
})
