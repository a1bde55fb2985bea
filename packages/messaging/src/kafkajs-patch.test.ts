import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import golden from '../test/fixtures/kafkajs-golden.json' with { type: 'json' }
import { decodeAll, decodeGzip, encodeAll, groupAll } from '../test/fixtures/kafkajs-golden.ts'
import {
  type OutgoingMessage,
  decodeRecordSet,
  encodeRecordSet,
  loadKafkajs,
} from '../test/fixtures/kafkajs-internals.ts'

// infra/patches/kafkajs@2.2.4.patch replaces the code that makes and reads Kafka's record batches.
// These tests hold it to the bytes of the original, which made the golden file.
const kafkajs = loadKafkajs(import.meta.url)

const GZIP = 1

describe('the patched kafkajs against the original', () => {
  it('encodes every case to the same bytes', async () => {
    expect(await encodeAll(kafkajs)).toEqual(golden.encoded)
  })

  it('decodes every case to the same messages', async () => {
    expect(await decodeAll(kafkajs)).toEqual(golden.decoded)
  })

  it('decodes a compressed batch to the same messages', async () => {
    expect(await decodeGzip(kafkajs, golden.gzip.recordSet)).toBe(golden.gzip.decoded)
  })

  it('sends every key to the same partition, in the same order', () => {
    expect(groupAll(kafkajs)).toEqual(golden.grouped)
  })
})

describe('encoding and decoding', () => {
  const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2 ** 31)

  const text = fc.string({ unit: 'binary', maxLength: 200 })
  const bytes = fc.oneof(
    text,
    fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)),
    fc.integer({ min: 0, max: 9000 }).map((length) => 'x'.repeat(length)),
  )
  const message = fc.record({
    key: fc.option(bytes),
    value: fc.option(bytes),
    headers: fc.dictionary(text, fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 4 }))),
    // As many digits for all, since kafkajs sorts timestamps as text.
    timestamp: fc.integer({ min: 1_000_000_000_000, max: 9_999_999_999_999 }),
  })

  const read = (value: string | Buffer | null) =>
    typeof value === 'string' ? Buffer.from(value) : value

  it.each([
    ['uncompressed', 0],
    ['gzip', GZIP],
  ])(`gives back every message, %s (seed ${seed})`, async (_name, compression) => {
    const roundTrip = fc.asyncProperty(fc.array(message, { maxLength: 30 }), async (messages) => {
      const recordSet = await encodeRecordSet(kafkajs, messages, compression)
      const decoded = await decodeRecordSet(kafkajs, recordSet)
      expect(decoded.map(({ key, value, timestamp }) => ({ key, value, timestamp }))).toEqual(
        messages.map(({ key, value, timestamp }) => ({
          key: read(key),
          value: read(value),
          timestamp: String(timestamp),
        })),
      )
      expect(decoded.map(({ headers }) => Object.entries(headers))).toEqual(
        messages.map(({ headers }) =>
          Object.entries(headers).map(([name, header]) => [
            name,
            Array.isArray(header) ? header.map(read) : read(header),
          ]),
        ),
      )
    })
    await fc.assert(roundTrip, { seed, numRuns: 100 })
  })

  // The memory of one is used again for the next.
  it('keeps requests apart that are made at the same time, after each other, and after one that failed', async () => {
    const sizes = [3, 40_000, 5_000_000, 700]
    const values = sizes.map((size, index) => `${index}`.repeat(size))
    const encode = async (value: unknown): Promise<Buffer> => {
      const messages = [{ value, timestamp: 1_700_000_000_000 }]
      const topicData = [{ topic: 'topic', partitions: [{ partition: 0, messages }] }]
      const request = kafkajs.produceV7({ acks: -1, timeout: 1, topicData })
      const { buffer } = await kafkajs.createRequest({
        correlationId: 1,
        clientId: 'test',
        request,
      })
      return buffer
    }
    const alone: Buffer[] = []
    for (const value of values) alone.push(await encode(value))
    await expect(encode(5)).rejects.toThrow(TypeError)

    const together = await Promise.all(values.map(encode))

    for (const [index, request] of together.entries()) {
      expect(alone[index]?.equals(request)).toBe(true)
      expect(request.includes(values[index] ?? '')).toBe(true)
    }
  })

  it('takes over a header name from the record before only if its bytes are the same', async () => {
    const recordSet = await encodeRecordSet(kafkajs, [
      { value: 'v', headers: { éa: '1' } },
      { value: 'v', headers: { zz: '2' } },
    ])
    // Not UTF-8, as another producer may send it, and the character codes of the name before.
    recordSet.set([0xe9, 0x61], recordSet.indexOf('zz'))

    const decoded = await decodeRecordSet(kafkajs, recordSet)

    expect(decoded.flatMap(({ headers }) => Object.keys(headers))).toEqual(['éa', '\ufffda'])
  })

  it('reads a header whose name every object inherits as any other', async () => {
    const names = ['constructor', '__proto__', 'toString']
    const headers = Object.fromEntries(names.map((name) => [name, ['1', '2']]))
    const single = Object.fromEntries(names.map((name) => [name, '1']))
    const recordSet = await encodeRecordSet(kafkajs, [
      { value: 'v', headers },
      { value: 'v', headers: single },
    ])

    const decoded = await decodeRecordSet(kafkajs, recordSet)

    expect(decoded.map((each) => Object.entries(each.headers))).toEqual([
      names.map((name) => [name, [Buffer.from('1'), Buffer.from('2')]]),
      names.map((name) => [name, Buffer.from('1')]),
    ])
    expect(decoded.map((each) => Object.getPrototypeOf(each.headers))).toEqual([
      Object.prototype,
      Object.prototype,
    ])
  })

  it.each<[string, OutgoingMessage]>([
    ['a number as value', { value: 5 }],
    ['an object as key', { key: {}, value: 'v' }],
    [
      'a typed array, whose text the original sent under a wrong length',
      { value: new Uint8Array(3) },
    ],
    ['a header without a value', { value: 'v', headers: { a: null } }],
    ['a number in a repeated header', { value: 'v', headers: { a: ['1', 2] } }],
  ])('refuses %s', async (_name, wrong) => {
    await expect(encodeRecordSet(kafkajs, [wrong])).rejects.toThrow(TypeError)
  })
})

describe("a connection's request queue", () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  const ignore = () => {}
  const logger = { debug: ignore, warn: ignore }
  const makeQueue = () =>
    new kafkajs.RequestQueue({
      maxInFlightRequests: 1,
      requestTimeout: 1000,
      enforceRequestTimeout: false,
      clientId: 'test',
      broker: 'test',
      logger,
    })

  it('sets no timer while it is idle', () => {
    vi.useFakeTimers()
    const queue = makeQueue()

    queue.checkPendingRequests()

    expect(vi.getTimerCount()).toBe(0)
  })

  it('still sends what the broker throttled, once the time is over, and is idle then', () => {
    vi.useFakeTimers()
    const queue = makeQueue()
    const sendRequest = vi.fn<() => void>()
    queue.maybeThrottle(500)

    queue.push({ entry: { correlationId: 1 }, expectResponse: true, sendRequest })

    vi.advanceTimersByTime(499)
    expect(sendRequest).not.toHaveBeenCalled()
    vi.advanceTimersByTime(2)
    expect(sendRequest).toHaveBeenCalledOnce()
    expect(vi.getTimerCount()).toBe(0)
  })
})
