import { AppError } from '@edp/runtime'
import { describe, expect, test } from 'vitest'
import { failureOf } from './failure.ts'

describe('what a message failed with', () => {
  test.each([
    [new AppError('poison', 'x', { retry: 'permanent' }), 'poison', 'poison', 'permanent'],
    [new AppError('too-old', 'x', { retry: 'permanent' }), 'too-old', 'too-old', 'permanent'],
    [new AppError('broken', 'x', { retry: 'permanent' }), 'permanent', 'broken', 'permanent'],
    [new RangeError('x'), 'permanent', 'RangeError', 'transient-message'],
    ['a text', 'permanent', 'not-an-error', 'transient-message'],
    [Object.assign(new Error('x'), { code: '23514' }), 'permanent', '23514', 'permanent'],
    [
      Object.assign(new Error('x'), { code: '40P01' }),
      'permanent',
      '40P01',
      'transient-everything',
    ],
    [Object.assign(new Error('x'), { code: 'ENOENT' }), 'permanent', 'ENOENT', 'transient-message'],
  ])('%s: reason %s, code %s, class %s', (error, reason, code, failureClass) => {
    expect(failureOf(error)).toMatchObject({ reason, code, class: failureClass })
  })

  test('a missing partition of the inbox is no message’s fault', () => {
    const error = Object.assign(new Error('no partition'), { code: '23514', table: 'inbox' })
    expect(failureOf(error).class).toBe('transient-everything')
  })

  test('names the cause, and keeps both stacks within their limit', () => {
    const cause = new Error('the disk is full')
    const failure = failureOf(new Error('cannot write', { cause }))
    expect(failure.message).toBe('cannot write: the disk is full')
    expect(failure.stack).toContain('Caused by: Error: the disk is full')
    const long = new Error('ä'.repeat(100_000))
    expect(Buffer.byteLength(failureOf(long).stack ?? '')).toBeLessThanOrEqual(8 * 1024)
    expect(Buffer.byteLength(failureOf(long).message)).toBeLessThanOrEqual(4096)
  })

  test('can be stored in Postgres, whatever it says', () => {
    const { message, stack } = failureOf(new Error('a\0b'))
    expect(message).toBe('a\u{FFFD}b')
    expect(stack).not.toContain('\0')
  })
})
