import { describe, expect, test } from 'vitest'
import {
  type Charge,
  type ChargeRequest,
  decideCharge,
  decideRepair,
  decideVoid,
} from './charge.ts'

const made = { key: 'order-1/charge/do', chargeId: 'ch_1', at: '2026-01-02T03:04:05.000Z' }
const voidMade = { key: made.key, at: made.at }

function request(token: string, amountMinor = 1299): ChargeRequest {
  return { amountMinor, currency: 'EUR', token }
}

function written(token: string): Charge {
  const { write } = decideCharge(undefined, request(token), made)
  if (!write) throw new Error('nothing was written')
  return write
}

describe('a charge', () => {
  test.each([
    'tok_ok',
    'tok_slow',
    'tok_timeout_after_charge',
    'tok_5xx_twice',
    'tok_refund_fails',
  ])('of %s is captured', (token) => {
    const { write, answer } = decideCharge(undefined, request(token), made)
    expect(write).toMatchObject({ status: 'captured', key: made.key, amountMinor: 1299 })
    expect(answer).toEqual({ kind: 'captured', charge: write })
  })

  test.each([
    ['tok_declined', 'card_declined'],
    ['tok_nobody_knows', 'invalid_token'],
  ])('of %s is declined for good, and that is in the ledger', (token, code) => {
    const { write, answer } = decideCharge(undefined, request(token), made)
    expect(write).toMatchObject({ status: 'declined', code })
    expect(answer).toEqual({ kind: 'declined', code })
  })

  test.each(['tok_ok', 'tok_declined'])('of %s repeated gives its first answer', (token) => {
    const known = written(token)
    const again = decideCharge(known, request(token), { ...made, chargeId: 'ch_2' })
    const first = decideCharge(undefined, request(token), made)
    expect(again).toEqual({ answer: first.answer })
  })

  test('with another payload under a known key is neither charged nor answered', () => {
    expect(decideCharge(written('tok_ok'), request('tok_ok', 1), made)).toEqual({
      answer: { kind: 'key-reused' },
    })
  })

  test('after the void of its key is declined for good', () => {
    const { write } = decideVoid(undefined, voidMade)
    expect(decideCharge(write, request('tok_ok'), made)).toEqual({
      answer: { kind: 'declined', code: 'voided' },
    })
  })
})

describe('a void', () => {
  test('of a key that was never charged closes it', () => {
    const { write, answer } = decideVoid(undefined, voidMade)
    expect(write).toEqual({ status: 'voided', ...voidMade })
    expect(answer).toEqual({ kind: 'voided' })
  })

  test('gives back what was charged, once, and answers the same again', () => {
    const { write, answer } = decideVoid(written('tok_ok'), voidMade)
    expect(write).toMatchObject({ status: 'refunded', amountMinor: 1299 })
    expect(answer).toEqual({ kind: 'refunded', refundedMinor: 1299 })
    expect(decideVoid(write, voidMade)).toEqual({ answer })
  })

  test('of a declined charge has nothing to give back', () => {
    expect(decideVoid(written('tok_declined'), voidMade)).toEqual({ answer: { kind: 'voided' } })
  })

  test('of tok_refund_fails is refused until an operator repairs it', () => {
    const captured = written('tok_refund_fails')
    expect(decideVoid(captured, voidMade)).toEqual({ answer: { kind: 'refund-refused' } })
    const { write } = decideRepair(captured)
    expect(decideVoid(write, voidMade).answer).toEqual({ kind: 'refunded', refundedMinor: 1299 })
  })
})
