import { describe, expect, test } from 'vitest'
import type { Finding, StoredAlert } from './alert.ts'
import { type Circumstances, reconcile } from './reconcile.ts'

const start = new Date('2026-01-02T12:00:00.000Z')
const after = (ms: number): Date => new Date(start.getTime() + ms)
const finding: Finding = {
  key: 'queue-depth/rabbitmq/queue=q',
  rule: 'queue-depth',
  source: 'rabbitmq',
  severity: 'warning',
  summary: '5 messages',
  labels: { queue: 'q' },
  path: '/alerts',
  runbook: 'broker-down.md',
  level: 1,
  forMs: 0,
}

/** Applies what was decided, as the database does. */
function world(circumstances: Partial<Circumstances> = {}) {
  let alerts: StoredAlert[] = []
  let lastId = 0
  return {
    alerts: () => alerts,
    see: (now: Date, findings: readonly Finding[], also: Partial<Circumstances> = {}): string[] => {
      const changes = reconcile(alerts, findings, {
        now,
        silentSources: new Set(),
        isMuted: () => false,
        resolveAfterMs: 30_000,
        ...circumstances,
        ...also,
      })
      for (const { alertId, next } of changes) {
        alerts = alerts.filter((alert) => alert.alertId !== alertId)
        if (next && next.status !== 'resolved') {
          lastId += 1
          alerts.push({ ...next, alertId: alertId ?? lastId })
        }
      }
      return changes.flatMap(({ tells }) => tells ?? [])
    },
  }
}

test('what goes on is told once', () => {
  const { see } = world()
  expect(see(start, [finding])).toEqual(['firing'])
  expect(see(after(1), [finding])).toEqual([])
  expect(see(after(2), [{ ...finding, summary: '6 messages' }])).toEqual([])
})

test('what grows by an order of magnitude is told again, and not when it shrinks and grows again', () => {
  const { see } = world()
  see(start, [finding])
  expect(see(after(1), [{ ...finding, level: 2 }])).toEqual(['firing'])
  expect(see(after(2), [finding])).toEqual([])
  expect(see(after(3), [{ ...finding, level: 2 }])).toEqual([])
  expect(see(after(4), [{ ...finding, level: 3 }])).toEqual(['firing'])
})

test('what has to hold for a minute is told after it, and never when it does not', () => {
  const { see, alerts } = world()
  const slow = { ...finding, forMs: 60_000 }
  expect(see(start, [slow])).toEqual([])
  expect(see(after(59_999), [slow])).toEqual([])
  expect(see(after(60_000), [slow])).toEqual(['firing'])
  const { see: seeOther, alerts: others } = world()
  seeOther(start, [slow])
  expect(seeOther(after(1), [])).toEqual([])
  expect(others()).toEqual([])
  expect(seeOther(after(60_000), [slow])).toEqual([])
  expect(alerts()).toMatchObject([{ startsAt: start }])
})

describe('an end', () => {
  test('is told when the condition has not held for the whole time', () => {
    const { see, alerts } = world()
    see(start, [finding])
    expect(see(after(10_000), [])).toEqual([])
    expect(see(after(39_999), [])).toEqual([])
    expect(see(after(40_000), [])).toEqual(['resolved'])
    expect(alerts()).toEqual([])
  })

  test('is not told of what flaps', () => {
    const { see } = world()
    const told: string[] = []
    for (let ms = 0; ms < 600_000; ms += 5000) {
      told.push(...see(after(ms), ms % 10_000 === 0 ? [finding] : []))
    }
    expect(told).toEqual(['firing'])
  })

  test('is not concluded from a source that says nothing', () => {
    const { see } = world({ silentSources: new Set(['rabbitmq']) })
    see(start, [finding], { silentSources: new Set() })
    expect(see(after(10_000), [])).toEqual([])
    expect(see(after(100_000), [])).toEqual([])
  })

  test('is followed by a new alert when it holds again', () => {
    const { see } = world({ resolveAfterMs: 0 })
    see(start, [finding])
    expect(see(after(1), [])).toEqual(['resolved'])
    expect(see(after(2), [finding])).toEqual(['firing'])
  })
})

describe('what is muted', () => {
  const muted = { isMuted: () => true }

  test('does not begin, and speaks when it is muted no more', () => {
    const { see, alerts } = world()
    expect(see(start, [finding], muted)).toEqual([])
    expect(alerts()).toEqual([])
    expect(see(after(1), [finding])).toEqual(['firing'])
  })

  test('does not speak again, and does afterwards', () => {
    const { see } = world()
    see(start, [finding])
    expect(see(after(1), [{ ...finding, level: 3 }], muted)).toEqual([])
    expect(see(after(2), [{ ...finding, level: 3 }])).toEqual(['firing'])
  })

  test('still ends', () => {
    const { see } = world({ resolveAfterMs: 0 })
    see(start, [finding])
    expect(see(after(1), [], muted)).toEqual(['resolved'])
  })
})
