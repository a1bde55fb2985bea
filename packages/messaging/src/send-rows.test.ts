import type { OutboxRow } from '@edp/outbox'
import { expect, test } from 'vitest'
import { splitByBytes } from './kafka-publisher.ts'
import { partitionOf } from './kafka-partitioner.ts'
import { Outcomes } from './outcomes.ts'
import { type Send, sendRows } from './send-rows.ts'

/** A broker that refuses some payloads and some destinations, and keeps what it took. */
function brokerWith(options: { tooLarge?: string[]; missing?: string[]; down?: boolean }) {
  const taken: string[] = []
  let sends = 0
  const send: Send = async (rows, outcomes) => {
    sends += 1
    const error = new Error('refused')
    if (options.down) return { scope: 'broker', unsettled: rows, error }
    const isMissing = rows.some(({ row }) => options.missing?.includes(row.destination))
    if (isMissing) return { scope: 'destination', unsettled: rows, error }
    const isTooLarge = rows.some(({ row }) => options.tooLarge?.includes(row.payload))
    if (isTooLarge) return { scope: 'row', unsettled: rows, error }
    for (const placed of rows) {
      taken.push(placed.row.payload)
      outcomes.acknowledge(placed)
    }
    return undefined
  }
  const publish = async (rows: readonly OutboxRow[]) => {
    const outcomes = new Outcomes(rows)
    await sendRows(
      rows.map((row, index) => ({ row, index })),
      outcomes,
      send,
    )
    return outcomes.all.map((outcome) => outcome?.code)
  }
  return { publish, taken, sends: () => sends }
}

function outboxRow(key: string, payload: string, destination = 'd'): OutboxRow {
  return { id: 1, messageId: payload, destination, key, type: 't.v1', payload, headers: {} }
}

test('a batch that is taken needs one send', async () => {
  const { publish, taken, sends } = brokerWith({})
  expect(await publish([outboxRow('a', '1'), outboxRow('b', '2')])).toEqual([undefined, undefined])
  expect(taken).toEqual(['1', '2'])
  expect(sends()).toBe(1)
})

test('bisecting finds each row at fault, and no later row of its key is sent', async () => {
  const { publish, taken } = brokerWith({ tooLarge: ['2', '7'] })
  const rows = Array.from({ length: 10 }, (_, n) => outboxRow(`k${n % 5}`, String(n)))
  const outcomes = await publish(rows)
  // 2 and 7 are of the same key: the second is held back, whatever is wrong with it.
  expect(outcomes).toEqual(
    rows.map((_, n) => (n === 2 ? 'message-too-large' : n === 7 ? 'held-back' : undefined)),
  )
  expect(taken).toEqual(['0', '1', '3', '4', '5', '6', '8', '9'])
})

test('a missing destination fails its own rows', async () => {
  const { publish, taken } = brokerWith({ missing: ['gone'] })
  const rows = [
    outboxRow('a', '1'),
    outboxRow('a', '2', 'gone'),
    outboxRow('b', '3'),
    outboxRow('b', '4', 'gone'),
  ]
  const outcomes = await publish(rows)
  const failed = 'destination-unavailable'
  expect(outcomes).toEqual([undefined, failed, undefined, failed])
  expect(taken).toEqual(['1', '3'])
})

test('a broker that is gone is asked once', async () => {
  const { publish, sends } = brokerWith({ down: true })
  const outcomes = await publish(Array.from({ length: 8 }, (_, n) => outboxRow(`k${n}`, String(n))))
  expect(new Set(outcomes)).toEqual(new Set(['destination-unavailable']))
  expect(sends()).toBe(1)
})

test('a batch is cut so that no partition gets more bytes than it may, in order', () => {
  const rows = Array.from({ length: 60 }, (_, n) => ({
    row: outboxRow(n % 2 === 0 ? 'hot' : `cold-${n}`, 'x'.repeat(100)),
    index: n,
  }))
  const partitionCounts = new Map([['d', 6]])
  const parts = splitByBytes(rows, { partitionCounts, partitionBytesMax: 1000 })
  expect(parts.flat()).toEqual(rows)
  expect(parts.length).toBeGreaterThan(3)
  for (const part of parts) {
    const bytes = new Map<number, number>()
    for (const { row: sent } of part) {
      const partition = partitionOf(sent.key, 6)
      bytes.set(partition, (bytes.get(partition) ?? 0) + sent.payload.length)
    }
    expect(Math.max(...bytes.values())).toBeLessThanOrEqual(1000)
  }
})

test('a row above the limit is sent alone', () => {
  const rows = [outboxRow('a', 'x'), outboxRow('a', 'x'.repeat(5000)), outboxRow('a', 'x')]
  const placed = rows.map((sent, index) => ({ row: sent, index }))
  const parts = splitByBytes(placed, { partitionCounts: new Map(), partitionBytesMax: 1000 })
  expect(parts.map((part) => part.map(({ index }) => index))).toEqual([[0], [1], [2]])
})
