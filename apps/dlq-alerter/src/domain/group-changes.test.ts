import { expect, test } from 'vitest'
import { groupChanges } from './group-changes.ts'
import type { Letter, LetterState } from './letter.ts'

function letter(groupId: string, state: LetterState, lastFailedAt = new Date(0)): Letter {
  return {
    letterId: 'l',
    consumer: 'inventory-service.kafka',
    messageId: 'm',
    subject: {
      source: 'kafka',
      position: 'p',
      type: null,
      key: null,
      correlationId: null,
      causationId: null,
      traceparent: null,
      coordination: 'choreographed',
    },
    failure: {
      groupId,
      fingerprint: groupId,
      reason: 'poison',
      errorCode: 'x',
      errorMessage: 'y',
      errorStack: null,
      attempts: 1,
      firstFailedAt: lastFailedAt,
      lastFailedAt,
    },
    state,
    waitingBehind: 0,
    factAt: lastFailedAt,
  }
}

const open = { status: 'open' } as const

test('however many letters of a group are in a batch, it changes once, by what they come to', () => {
  const known = letter('a', open)
  const changes = groupChanges([
    { before: undefined, after: letter('b', open, new Date(1)) },
    { before: undefined, after: letter('b', open, new Date(3)) },
    { before: undefined, after: letter('b', open, new Date(2)) },
    { before: known, after: { ...known, state: { status: 'resolved', outcome: 'applied' } } },
  ])
  expect(changes).toMatchObject([
    { groupId: 'a', open: -1, resolved: 1, failed: undefined },
    { groupId: 'b', open: 3, failed: { failure: { lastFailedAt: new Date(3) } } },
  ])
})

test('a letter that fails of another cause leaves its old group', () => {
  const changes = groupChanges([
    { before: letter('a', { status: 'redriving', redriveId: 'r' }), after: letter('b', open) },
  ])
  expect(changes).toMatchObject([
    { groupId: 'a', redriving: -1, open: 0, failed: undefined },
    { groupId: 'b', open: 1, failed: { failure: { groupId: 'b' } } },
  ])
})

test('a letter whose status stays the same changes no group', () => {
  const known = letter('a', open)
  expect(groupChanges([{ before: known, after: { ...known, waitingBehind: 3 } }])).toEqual([])
})
