import { describe, expect, test } from 'vitest'
import {
  floodKey,
  type GroupFacts,
  groupKey,
  type LetterBounds,
  letterFindings,
  type ToldGroups,
} from './letter-conditions.ts'

const now = new Date('2026-01-02T12:00:00.000Z')
const ago = (ms: number): Date => new Date(now.getTime() - ms)
const bounds: LetterBounds = {
  floodLettersPerMinute: 100,
  groupsPerMinuteMax: 3,
  openLevelMs: 3_600_000,
  openAgeMaxMs: 86_400_000,
}
const nothingTold: ToldGroups = {
  firingSince: new Map(),
  begunLastMinute: 0,
  floodFires: false,
}

function group(is: Partial<GroupFacts> = {}): GroupFacts {
  return {
    groupId: 'g1',
    consumer: 'inventory-service.kafka',
    type: 'order.placed.v1',
    reason: 'poison',
    errorCode: 'invalid-body',
    errorMessage: 'lines: expected an array\nat …',
    open: 1,
    redriving: 0,
    oldestOpenAt: ago(5000),
    ignoredUntil: null,
    ignoredUntilCount: null,
    ...is,
  }
}

function rulesOf(
  groups: GroupFacts[],
  told: Partial<ToldGroups> = {},
  lettersLastMinute = 1,
): string[] {
  const facts = { groups, truncated: false, lettersLastMinute }
  const { findings } = letterFindings({ facts, told: { ...nothingTold, ...told }, bounds, now })
  return findings.map(({ rule }) => rule)
}

test('the first letter of a group alerts, and says what, how many, since when and where', () => {
  const facts = { groups: [group()], truncated: false, lettersLastMinute: 1 }
  const { findings, flood } = letterFindings({ facts, told: nothingTold, bounds, now })
  expect(flood).toBe(false)
  expect(findings).toEqual([
    {
      key: 'dlq-group/g1',
      rule: 'dlq-group',
      source: 'letters',
      severity: 'warning',
      summary:
        '1 dead letter of inventory-service.kafka: order.placed.v1, poison, invalid-body: ' +
        'lines: expected an array; oldest 2026-01-02T11:59:55.000Z',
      labels: {
        group: 'g1',
        consumer: 'inventory-service.kafka',
        type: 'order.placed.v1',
        reason: 'poison',
        error_code: 'invalid-body',
      },
      path: '/groups/g1',
      runbook: 'dead-letters.md',
      level: 1,
      forMs: 0,
    },
  ])
})

test('a summary has nothing that Postgres cannot store, also where it is cut', () => {
  const errorMessage = `\u0001${'x'.repeat(198)}😀 and more`
  const facts = { groups: [group({ errorMessage })], truncated: false, lettersLastMinute: 1 }
  const { findings } = letterFindings({ facts, told: nothingTold, bounds, now })
  expect(findings[0]?.summary).toContain(`invalid-body: ${'x'.repeat(198)}; oldest`)
})

test.each([
  [1, 1],
  [9, 1],
  [10, 2],
  [99, 2],
  [100, 3],
  [1000, 4],
  [10_000, 5],
])('%i letters of a group are of level %i', (open, level) => {
  const facts = { groups: [group({ open })], truncated: false, lettersLastMinute: 1 }
  const { findings } = letterFindings({ facts, told: nothingTold, bounds, now })
  expect(findings.map((one) => one.level)).toEqual([level])
})

describe('a group', () => {
  test('that has had open letters for an hour alerts again', () => {
    const since = (ms: number) => ({ firingSince: new Map([[groupKey('g1'), ago(ms)]]) })
    expect(rulesOf([group()], since(3_599_999))).toEqual(['dlq-group'])
    expect(rulesOf([group()], since(3_600_000))).toEqual(['dlq-group', 'dlq-level'])
  })

  test('whose oldest open letter is a day old alerts again', () => {
    expect(rulesOf([group({ oldestOpenAt: ago(86_399_999) })])).toEqual(['dlq-group'])
    expect(rulesOf([group({ oldestOpenAt: ago(86_400_000) })])).toEqual(['dlq-group', 'dlq-age'])
  })

  test('that is ignored until a time is silent until then', () => {
    expect(rulesOf([group({ ignoredUntil: new Date(now.getTime() + 1) })])).toEqual([])
    expect(rulesOf([group({ ignoredUntil: now })])).toEqual(['dlq-group'])
  })

  test('that is ignored until a count is silent below it', () => {
    expect(rulesOf([group({ open: 9, ignoredUntilCount: 10 })])).toEqual([])
    expect(rulesOf([group({ open: 10, ignoredUntilCount: 10 })])).toEqual(['dlq-group'])
  })

  test('that is being redriven still alerts', () => {
    expect(rulesOf([group({ open: 0, redriving: 1 })])).toEqual(['dlq-group'])
  })
})

describe('a flood', () => {
  const floodOf = (
    groups: GroupFacts[],
    lettersLastMinute: number,
    told: Partial<ToldGroups> = {},
    truncated = false,
  ): boolean => {
    const facts = { groups, truncated, lettersLastMinute }
    return letterFindings({ facts, told: { ...nothingTold, ...told }, bounds, now }).flood
  }
  const groups = (count: number, is: Partial<GroupFacts> = {}): GroupFacts[] =>
    Array.from({ length: count }, (_, index) => group({ ...is, groupId: `g${index}` }))

  test('is more letters a minute than the bound, and ends at half of it', () => {
    expect(floodOf([group()], 100)).toBe(false)
    expect(floodOf([group()], 101)).toBe(true)
    expect(floodOf([group()], 51, { floodFires: true })).toBe(true)
    expect(floodOf([group()], 50, { floodFires: true })).toBe(false)
  })

  test('is more groups at once than may speak within a minute', () => {
    expect(floodOf(groups(3), 3)).toBe(false)
    expect(floodOf(groups(4), 4)).toBe(true)
    expect(floodOf(groups(3), 3, { begunLastMinute: 1 })).toBe(true)
  })

  test('counts only groups that nobody was told of', () => {
    const firingSince = new Map(groups(10).map(({ groupId }) => [groupKey(groupId), ago(70_000)]))
    expect(floodOf(groups(13), 3, { firingSince })).toBe(false)
  })

  test('does not count groups that are ignored', () => {
    expect(floodOf(groups(10, { ignoredUntilCount: 100 }), 3)).toBe(false)
  })

  test('is what has more groups than can be read', () => {
    expect(floodOf(groups(1), 1, {}, true)).toBe(true)
  })

  test('is one finding that says how much it is', () => {
    const facts = {
      groups: [group(), group({ groupId: 'g2', open: 9000, consumer: 'order-service.kafka' })],
      truncated: false,
      lettersLastMinute: 9001,
    }
    const { findings } = letterFindings({ facts, told: nothingTold, bounds, now })
    expect(findings.find(({ key }) => key === floodKey)).toMatchObject({
      severity: 'critical',
      level: 4,
      summary:
        'Flood of dead letters: 9001 in the last minute, 9001 open in 2 groups; most of order-service.kafka: ' +
        'order.placed.v1, poison, invalid-body: lines: expected an array. Groups are silent until it is over',
    })
  })
})
