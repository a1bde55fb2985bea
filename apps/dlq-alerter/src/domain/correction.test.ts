import { describe, expect, it } from 'vitest'
import { differences } from './body-diff.ts'
import { checkCorrection } from './correction.ts'

describe('the differences of two bodies', () => {
  it.each<[unknown, unknown, unknown]>([
    [{ a: 1, b: [1, 2] }, { b: [1, 2], a: 1 }, []],
    [
      { a: { b: [{ c: 1 }] } },
      { a: { b: [{ c: 2 }] } },
      [{ path: 'a.b.0.c', before: 1, after: 2 }],
    ],
    [
      { a: 1 },
      { b: 1 },
      [
        { path: 'a', before: 1 },
        { path: 'b', after: 1 },
      ],
    ],
    [{ a: [1] }, { a: [1, 2] }, [{ path: 'a.1', after: 2 }]],
    [{ a: [1] }, { a: { 0: 1 } }, [{ path: 'a', before: [1], after: { 0: 1 } }]],
    [{ a: null }, { a: 0 }, [{ path: 'a', before: null, after: 0 }]],
    ['not JSON', { a: 1 }, [{ path: '', before: 'not JSON', after: { a: 1 } }]],
  ])('of %j and %j', (before, after, expected) => {
    expect(differences(before, after)).toEqual(expected)
  })
})

describe('a corrected body', () => {
  const orderId = '01984b1d-5b40-7000-8000-00000000c0de'
  const other = '01984b1d-5b40-7000-8000-00000000c0df'
  const letter = { type: 'stock.release.v1', key: orderId }
  const content = (body: string) => ({ headers: {}, body, encoding: 'utf8' as const, bytes: 9 })
  const check = (was: string, is: unknown, of = letter) =>
    checkCorrection(of, content(was), JSON.stringify(is))

  it('is about the order that it was about', () => {
    expect(check(JSON.stringify({ orderId }), { orderId })).toEqual({ ok: true, diff: [] })
    expect(check(JSON.stringify({ orderId }), { orderId: other })).toMatchObject({
      ok: false,
      kind: 'other-key',
    })
  })

  it('of a body without an order is about the key of its message', () => {
    expect(check('{}', { orderId })).toMatchObject({ ok: true })
    expect(check('nonsense', { orderId: other })).toMatchObject({ ok: false, kind: 'other-key' })
  })

  it('fits the schema of its type', () => {
    expect(check('{}', { orderId: 7 })).toMatchObject({ ok: false, kind: 'not-valid' })
    expect(checkCorrection(letter, content('{}'), '{')).toMatchObject({ kind: 'not-valid' })
    const newer = { ...letter, type: 'stock.release.v9' }
    expect(check('{}', { orderId }, newer)).toMatchObject({ ok: false, kind: 'not-valid' })
    const unknown = { ...letter, type: 'stock.praise.v1' }
    expect(check('{}', { orderId }, unknown)).toMatchObject({ ok: false, kind: 'no-schema' })
  })
})
