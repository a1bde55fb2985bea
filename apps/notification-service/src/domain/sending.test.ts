import { describe, expect, test } from 'vitest'
import { givenUp, type JobRow, judgeClaim, type Outcome, redriven, settle } from './sending.ts'

const now = new Date('2026-01-01T12:00:00Z')
const owner = 'me'
const pending: JobRow = {
  id: 'n1',
  orderId: 'o1',
  recipient: 'ada@customers.example',
  content: { kind: 'cancellation', customerId: 'ada', reason: 'customer-request' },
  status: 'pending',
  round: 0,
  isQueued: true,
  dueInMs: -1,
  leaseOwner: null,
  leaseInMs: null,
  attempts: 0,
  error: null,
  firstFailedAt: null,
  lastFailedAt: null,
  isDeadLettered: false,
  redriveId: null,
  causationId: null,
  coordination: 'orchestrated',
  traceparent: null,
}
const mine: JobRow = { ...pending, leaseOwner: owner, leaseInMs: 1000 }
const failed: Outcome = { kind: 'failed', code: 'smtp-450', message: 'later' }
const refused: Outcome = { kind: 'refused', code: 'smtp-550', message: 'never' }
const sent: Outcome = { kind: 'sent', response: '250 OK' }
const exhausted = { kind: 'exhausted', round: 0, isStalled: false, message: 'used up' } as const

const settled = (row: JobRow, outcome: Outcome) => settle(row, outcome, { owner, now })

describe('a claim', () => {
  test.each([
    ['of what is owed', pending, { kind: 'claimed', row: pending }],
    ['of what nobody knows', undefined, { kind: 'nothing-to-do', status: 'unknown' }],
    ['of what is sent', { ...pending, status: 'sent' }, { kind: 'nothing-to-do', status: 'sent' }],
    [
      'of what is cancelled',
      { ...pending, status: 'cancelled' },
      { kind: 'nothing-to-do', status: 'cancelled' },
    ],
    ['of what is not due', { ...pending, dueInMs: 70 }, { kind: 'later', inMs: 70 }],
    ['of what another is sending', { ...mine, leaseInMs: 30 }, { kind: 'later', inMs: 30 }],
    ['after the end of a lease', { ...mine, leaseInMs: -1 }, { kind: 'claimed' }],
  ] as const)('%s', (_of, row, claim) => {
    expect(judgeClaim(row)).toMatchObject(claim)
  })
})

describe('an answer', () => {
  test('is written down whoever has the lease by then, and after a cancellation: the e-mail is out', () => {
    for (const row of [mine, pending, { ...mine, leaseOwner: 'another' }]) {
      expect(settled(row, sent)).toMatchObject({ row: { status: 'sent', leaseOwner: null } })
    }
    expect(settled({ ...mine, status: 'cancelled' }, sent)).toMatchObject({
      row: { status: 'sent' },
    })
    expect(settled({ ...mine, status: 'sent' }, sent)).toBeUndefined()
  })

  test('resolves the dead letter that stands for the e-mail', () => {
    const row = { ...mine, isDeadLettered: true, redriveId: 'r1' }
    expect(settled(row, sent)).toMatchObject({
      told: 'resolved',
      row: { isDeadLettered: false, redriveId: 'r1' },
    })
    expect(settled(mine, sent)?.told).toBeUndefined()
  })

  test('that refuses counts for the owner of the lease alone', () => {
    expect(settled(mine, failed)).toMatchObject({
      told: undefined,
      row: { status: 'pending', attempts: 1, error: { code: 'smtp-450' }, leaseOwner: null },
    })
    expect(settled(mine, refused)).toMatchObject({
      told: 'dead',
      reason: 'permanent',
      row: { status: 'dead', attempts: 1, isDeadLettered: true, firstFailedAt: now },
    })
    for (const outcome of [failed, refused, { kind: 'released' } as const]) {
      expect(settled({ ...mine, leaseOwner: 'another' }, outcome)).toBeUndefined()
    }
  })

  test('that never came uses no attempt', () => {
    expect(settled(mine, { kind: 'released' })).toMatchObject({
      row: { status: 'pending', attempts: 0, leaseOwner: null },
    })
  })
})

describe('a job that has failed for good', () => {
  test('makes its row dead, with what the provider said last', () => {
    const row = { ...pending, attempts: 3, error: { code: 'smtp-450', message: 'later' } }
    expect(settled(row, exhausted)).toMatchObject({
      told: 'dead',
      reason: 'attempts-exhausted',
      row: { status: 'dead', error: { code: 'smtp-450' } },
    })
    expect(settled(row, { ...exhausted, isStalled: true })).toMatchObject({
      reason: 'process-killed',
      row: { error: { code: 'job-stalled' } },
    })
  })

  test('of an earlier round, or of a row that is about to get another, is none of it', () => {
    expect(settled({ ...pending, round: 1 }, exhausted)).toBeUndefined()
    expect(settled({ ...pending, isQueued: false }, exhausted)).toBeUndefined()
    expect(settled({ ...pending, status: 'sent' }, exhausted)).toBeUndefined()
  })
})

test('a redrive begins another round; of one that is being tried it is only noted', () => {
  const dead: JobRow = { ...pending, status: 'dead', attempts: 3, isDeadLettered: true }
  expect(redriven(dead, 'r1')).toMatchObject({
    status: 'pending',
    round: 1,
    isQueued: false,
    attempts: 0,
    isDeadLettered: true,
    redriveId: 'r1',
  })
  expect(redriven({ ...mine, isDeadLettered: true }, 'r2')).toMatchObject({
    round: 0,
    leaseOwner: owner,
    redriveId: 'r2',
  })
  expect(givenUp(dead)).toMatchObject({ status: 'cancelled', isDeadLettered: false })
})
