import { expect, test } from 'vitest'
import { fingerprintOf, ownFrame } from './fingerprint.ts'

function stack(root: string, line: number): string {
  return [
    'Error: no',
    '    at Parser.parse (node:internal/x:1:2)',
    `    at read (${root}/node_modules/pg/lib/client.js:${line}:1)`,
    `    at Object.decide (${root}/apps/order-service/src/cancel-order.ts:${line}:9)`,
    `    at applyMessages (${root}/packages/messaging/src/apply-batch.ts:70:9)`,
  ].join('\n')
}

test('the first frame of our own names function and file, wherever the checkout lies', () => {
  const expected = 'Object.decide apps/order-service/src/cancel-order'
  expect(ownFrame(stack('/work/main', 10))).toBe(expected)
  expect(ownFrame(stack('/home/apps/edp', 20))).toBe(expected)
  const built = stack('/app', 5).replace('src/cancel-order.ts', 'dist/cancel-order.js')
  expect(ownFrame(built)).toBe(expected)
})

test('a frame without a function, and an asynchronous one, are read too', () => {
  expect(ownFrame('x\n    at file:///r/apps/a/src/b.ts:1:2')).toBe('apps/a/src/b')
  expect(ownFrame('x\n    at async f (/r/packages/a/src/b.ts:1:2)')).toBe('f packages/a/src/b')
  expect(ownFrame('x\n    at f (/r/node_modules/a/b.js:1:2)')).toBeUndefined()
  expect(ownFrame(null)).toBeUndefined()
})

test('letters have one fingerprint when consumer, type, code and place are the same, and else not', () => {
  const cause = { consumer: 'a.kafka', type: 'b.c.v1', code: 'no', stack: stack('/x', 1) }
  const print = fingerprintOf(cause)
  expect(print).toMatch(/^[0-9a-f]{16}$/)
  expect(fingerprintOf({ ...cause, stack: stack('/y', 2) })).toBe(print)
  const others = [
    { ...cause, consumer: 'b.kafka' },
    { ...cause, type: null },
    { ...cause, code: 'yes' },
    { ...cause, stack: null },
  ]
  expect(new Set([print, ...others.map(fingerprintOf)]).size).toBe(5)
})
