import type { OutboxRow, Publisher } from '@edp/outbox'
import type { Component } from '@edp/runtime'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

/** A message as it lies on the broker. */
export interface Stored {
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

/** A broker as the suite sees it. */
export interface PublishingBroker {
  createPublisher(): Publisher & Component
  /** A destination that nothing else uses; the first call with a name makes it. */
  destination(name: string): Promise<string>
  /** A well-formed destination that does not exist; undefined when the broker makes every destination. */
  readonly missingDestination: string | undefined
  /** A size that the broker refuses; undefined when it is too large for a test. */
  readonly refusedBytes: number | undefined
  /** The first `count` messages of a destination, those of a key in their order. */
  read(destination: string, count: number): Promise<Stored[]>
}

/** What every broker's publisher must do. */
export function describePublisher(name: string, broker: () => PublishingBroker): void {
  describe(`publishing to ${name}`, () => {
    let publisher: Publisher & Component
    beforeAll(async () => {
      publisher = broker().createPublisher()
      await publisher.start()
    })
    afterAll(() => publisher.stop())

    test('every message arrives with its headers and the bytes of its body', async () => {
      const destination = await broker().destination('whole')
      const rows = [
        row({ destination, key: 'a', payload: '{"text":"Grüße ☕ 漢字"}' }),
        row({ destination, key: 'b', payload: '{"empty":""}' }),
      ]
      expect(await publisher.publish(rows)).toEqual([undefined, undefined])
      const stored = await broker().read(destination, rows.length)
      const found = new Map(stored.map((message) => [text(message), message.headers]))
      for (const { payload, headers } of rows) expect(found.get(payload)).toMatchObject(headers)
    })

    test('messages of a key keep their order, within a batch and from one batch to the next', async () => {
      const destination = await broker().destination('order')
      const rows = Array.from({ length: 2000 }, (_, seq) =>
        row({ destination, key: `key-${seq % 7}`, payload: JSON.stringify({ seq }) }),
      )
      expect(await publisher.publish(rows.slice(0, 1200))).toEqual(Array(1200).fill(undefined))
      expect(await publisher.publish(rows.slice(1200))).toEqual(Array(800).fill(undefined))
      const stored = await broker().read(destination, rows.length)
      const seqs = stored.map((message) => Number(JSON.parse(text(message)).seq))
      for (let key = 0; key < 7; key += 1) {
        const ofKey = seqs.filter((seq) => seq % 7 === key)
        expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b))
      }
      expect(new Set(seqs).size).toBe(2000)
    })

    test('an empty batch is no work', async () => {
      expect(await publisher.publish([])).toEqual([])
    })

    test('a destination that does not exist fails its own rows and no others', async (context) => {
      const missing = broker().missingDestination
      if (missing === undefined) return context.skip()
      const destination = await broker().destination('beside-missing')
      const rows = [
        row({ destination, key: 'a', payload: '{"n":1}' }),
        row({ destination: missing, key: 'a', payload: '{"n":2}' }),
        row({ destination, key: 'b', payload: '{"n":3}' }),
      ]
      const outcomes = await publisher.publish(rows)
      expect(codes(outcomes)).toEqual([undefined, 'destination-unavailable', undefined])
      expect(outcomes[1]?.retry).toBe('transient-everything')
      const stored = await broker().read(destination, 2)
      expect(new Set(stored.map(text))).toEqual(new Set(['{"n":1}', '{"n":3}']))
    })

    test('a row that is too large fails alone and holds back only its key', async (context) => {
      const bytes = broker().refusedBytes
      if (bytes === undefined) return context.skip()
      const destination = await broker().destination('too-large')
      const rows = [
        row({ destination, key: 'a', payload: '{"n":1}' }),
        row({ destination, key: 'big', payload: JSON.stringify('x'.repeat(bytes)) }),
        row({ destination, key: 'big', payload: '{"n":3}' }),
        row({ destination, key: 'b', payload: '{"n":4}' }),
      ]
      const outcomes = await publisher.publish(rows)
      expect(codes(outcomes)).toEqual([undefined, 'message-too-large', 'held-back', undefined])
      expect(outcomes[1]?.retry).toBe('permanent')
      expect(outcomes[2]?.retry).toBe('transient-message')
      const stored = await broker().read(destination, 2)
      expect(new Set(stored.map(text))).toEqual(new Set(['{"n":1}', '{"n":4}']))
    })
  })
}

let ids = 0

/** An outbox row. */
export function row(fields: { destination: string; key: string; payload: string }): OutboxRow {
  ids += 1
  const messageId = `01900000-0000-7000-8000-${String(ids).padStart(12, '0')}`
  return {
    ...fields,
    id: ids,
    messageId,
    type: 'thing.happened.v1',
    headers: { ce_id: messageId, cloudEvents_id: messageId, 'content-type': 'application/json' },
  }
}

/** The codes of outcomes. */
export function codes(outcomes: readonly ({ code: string } | undefined)[]): (string | undefined)[] {
  return outcomes.map((outcome) => outcome?.code)
}

function text({ body }: Stored): string {
  return Buffer.from(body).toString('utf8')
}
