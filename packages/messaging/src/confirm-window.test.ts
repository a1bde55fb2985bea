import type { OutboxRow } from '@edp/outbox'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ConfirmingChannel, ConfirmWindow } from './confirm-window.ts'
import { Outcomes } from './outcomes.ts'

interface Unconfirmed {
  readonly row: OutboxRow
  readonly confirm: (nack: unknown) => void
}

/** A channel on which the test decides what is confirmed, and when. */
class TestChannel implements ConfirmingChannel {
  readonly unconfirmed: Unconfirmed[] = []
  readonly published: OutboxRow[] = []
  closed = false
  #returned: (messageId: string) => void = () => undefined
  #closes: () => void = () => undefined

  publish(sent: OutboxRow, confirm: (nack: unknown) => void): void {
    if (sent.payload === 'cannot be encoded') throw new Error('cannot be encoded')
    this.published.push(sent)
    this.unconfirmed.push({ row: sent, confirm })
  }

  onReturn(listener: (messageId: string) => void): void {
    this.#returned = listener
  }

  onClose(listener: () => void): void {
    this.#closes = listener
  }

  removeListeners(): void {
    this.#returned = () => undefined
  }

  confirm(index = 0, nack: unknown = null): void {
    const [message] = this.unconfirmed.splice(index, 1)
    message?.confirm(nack)
  }

  giveBack(index = 0): void {
    this.#returned(this.unconfirmed[index]?.row.messageId ?? '')
    this.confirm(index)
  }

  close(): void {
    this.closed = true
    this.#closes()
    for (const { confirm } of this.unconfirmed.splice(0)) confirm(new Error('channel closed'))
  }
}

function row(key: string, id: number, payload = '{}'): OutboxRow {
  return { id, messageId: `m${id}`, destination: 'e/q', key, type: 't.v1', payload, headers: {} }
}

function open(
  rows: readonly OutboxRow[],
  options: { windowMax?: number; timeoutMs?: number } = {},
) {
  const channel = new TestChannel()
  const outcomes = new Outcomes(rows)
  const { windowMax = 100, timeoutMs = 10_000 } = options
  const placed = rows.map((sent, index) => ({ row: sent, index }))
  const limits = { outcomes, windowMax, confirmTimeoutMs: timeoutMs }
  const window = new ConfirmWindow(channel, placed, limits)
  const ended = window.run()
  return { channel, ended, codes: () => outcomes.all.map((outcome) => outcome?.code) }
}

test('at most one row of a key is unconfirmed, and rows of a key go out in order, whatever is confirmed when', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.infiniteStream(fc.nat()),
      async (keys, windowMax, choices) => {
        const rows = keys.map((key, id) => row(`k${key}`, id))
        const { channel, ended, codes } = open(rows, { windowMax })
        while (channel.unconfirmed.length > 0) {
          const inFlight = channel.unconfirmed.map(({ row: sent }) => sent.key)
          expect(new Set(inFlight).size).toBe(inFlight.length)
          expect(inFlight.length).toBeLessThanOrEqual(windowMax)
          channel.confirm(Number(choices.next().value) % channel.unconfirmed.length)
        }
        expect((await ended).unsettled).toEqual([])
        expect(codes()).toEqual(rows.map(() => undefined))
        for (const key of new Set(keys)) {
          const ids = channel.published.filter((sent) => sent.key === `k${key}`).map(({ id }) => id)
          expect(ids).toEqual(ids.toSorted((a, b) => a - b))
        }
      },
    ),
  )
})

test('a returned row is a failure although it is confirmed, and stops what follows to its destination', async () => {
  const { channel, ended, codes } = open([row('a', 1), row('a', 2), row('b', 3)])
  channel.giveBack(0)
  channel.confirm(0)
  expect((await ended).unsettled).toEqual([])
  // The one that was under way already arrived.
  expect(codes()).toEqual(['destination-unavailable', 'destination-unavailable', undefined])
  expect(channel.published.map(({ id }) => id)).toEqual([1, 3])
})

test('a refused row is a failure of its destination', async () => {
  const { channel, ended, codes } = open([row('a', 1), row('a', 2)])
  channel.confirm(0, new Error('message nacked'))
  await ended
  expect(codes()).toEqual(['destination-unavailable', 'destination-unavailable'])
})

test('what was unconfirmed or unsent when the channel closed is unsettled, in order', async () => {
  const { channel, ended } = open([row('a', 1), row('b', 2), row('a', 3), row('c', 4)])
  channel.confirm(1)
  channel.close()
  const { unsettled, timedOut } = await ended
  expect(unsettled.map(({ row: sent }) => sent.id)).toEqual([1, 3, 4])
  expect(timedOut).toBe(false)
})

test('a window in which nothing is confirmed ends', async () => {
  const { ended } = open([row('a', 1)], { timeoutMs: 5 })
  expect(await ended).toMatchObject({ timedOut: true, unsettled: [{ index: 0 }] })
})

test('a row that cannot be encoded fails for good and holds back its key', async () => {
  const { channel, ended, codes } = open([
    row('a', 1, 'cannot be encoded'),
    row('a', 2),
    row('b', 3),
  ])
  channel.confirm()
  await ended
  expect(codes()).toEqual(['cannot-encode', 'held-back', undefined])
})
