import { expect, test } from 'vitest'
import { textHeaders } from './kafka-session.ts'

test('headers are text: of a repeated one the last value, an absent one is left out', () => {
  const headers = textHeaders({
    ce_type: Buffer.from('order.placed.v1'),
    text: 'as it is',
    repeated: [Buffer.from('first'), Buffer.from('last ☕')],
    empty: Buffer.alloc(0),
    absent: undefined,
    'without a value': null,
    none: [],
  })
  expect(headers).toEqual({
    ce_type: 'order.placed.v1',
    text: 'as it is',
    repeated: 'last ☕',
    empty: '',
  })
  expect(textHeaders(undefined)).toEqual({})
})
