import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeRecordSet, loadKafkajs } from '../test/fixtures/kafkajs-internals.ts'
import { jsonHeaders } from './kafka-json-headers.ts'

const kafkajs = loadKafkajs(import.meta.url)

const encode = (headers: Record<string, unknown>) =>
  encodeRecordSet(kafkajs, [{ key: 'k', value: 'v', headers }])

const encodeJson = (json: string) => encode(jsonHeaders(json))

const cloudEvent = {
  ce_specversion: '1.0',
  ce_id: '0198c0de-0000-7000-8000-000000000000',
  'content-type': 'application/json',
  ce_traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  empty: '',
  long: 'x'.repeat(8191),
}

test.each([
  ['our headers', cloudEvent],
  ['none', {}],
  [
    'as many as fit one byte',
    Object.fromEntries(Array.from({ length: 63 }, (_, i) => [`h${i}`, 'v'])),
  ],
  ['more than that', Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`h${i}`, 'v']))],
  ['longer than two bytes of length', { long: 'x'.repeat(8192) }],
  ['what JSON escapes', { quote: '"', backslash: '\\', line: 'a\nb' }],
  ['what looks like JSON', { json: '{"a":"b"}', parts: '","', 'na":"me': 'x' }],
  ['what is not ASCII', { name: 'Größe 😀', 日本: 'x' }],
])('headers as JSON give the bytes of the object: %s', async (_name, headers) => {
  expect(await encodeJson(JSON.stringify(headers))).toEqual(await encode(headers))
})

test('headers as JSON give the bytes of the object, whatever they are', async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 100 }),
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom('"', ':', ',', '{', '}', '":"', '","', '\\', ''),
  )
  // Names that look like numbers change places in an object.
  const name = text.map((value) => `h${value}`)
  await fc.assert(
    fc.asyncProperty(fc.dictionary(name, text), async (headers) => {
      expect(await encodeJson(JSON.stringify(headers))).toEqual(await encode(headers))
    }),
  )
})

test('an escaped name is not taken for one that was read before', async () => {
  const seen = { first: '', 'quote\\': '' }
  const escaped = { first: '', 'quote"': '' }

  await encodeJson(JSON.stringify(seen))

  expect(await encodeJson(JSON.stringify(escaped))).toEqual(await encode(escaped))
})

test('headers with blanks, as Postgres writes JSON itself, are read too', async () => {
  expect(await encodeJson('{"a" : "b", "c" : "d"}')).toEqual(await encode({ a: 'b', c: 'd' }))
  expect(await encodeJson(' { } ')).toEqual(await encode({}))
})

test.each([
  'null',
  '[]',
  '"text"',
  '{"a": 1}',
  '{"a": null}',
  '{"a": {"b": "c"}}',
  '{"a": {"b": "c"}, "a": "d"}',
  '{"a": ["b", "c"], "a": "\\n"}',
])('headers that are no object of strings are refused: %s', async (json) => {
  await expect(encodeJson(json)).rejects.toMatchObject({ code: 'cannot-encode' })
})
