import { describe, expect, it } from 'vitest'
import type { Died, Fact } from './fact.ts'
import { applyFact, clockSkewMs, type Letter, type LetterState, newLetter } from './letter.ts'

const at = (seconds: number): Date => new Date(Date.UTC(2026, 0, 1) + seconds * 1000)

function died(differently: Partial<Died> = {}): Died {
  return {
    kind: 'died',
    id: '019b0000-0000-7000-8000-000000000001',
    at: at(0),
    consumer: 'inventory-service.kafka',
    messageId: '019b0000-0000-7000-8000-000000000002',
    redriveId: null,
    subject: {
      source: 'kafka',
      position: 'edp.order.events/3@7',
      type: 'order.placed.v1',
      key: null,
      correlationId: null,
      causationId: null,
      traceparent: null,
      coordination: 'choreographed',
    },
    failure: {
      groupId: 'g',
      fingerprint: 'f',
      reason: 'poison',
      errorCode: 'poison',
      errorMessage: 'bad',
      errorStack: null,
      attempts: 1,
      firstFailedAt: at(0),
      lastFailedAt: at(0),
    },
    content: { headers: {}, body: '{}', encoding: 'utf8', bytes: 2 },
    ...differently,
  }
}

const { consumer, messageId } = died()
const resolved = (redriveId: string | null = null, outcome = 'applied' as const): Fact => ({
  kind: 'resolved',
  id: 'x',
  at: at(10),
  consumer,
  messageId,
  outcome,
  redriveId,
})
const letter = (state: LetterState, of: Partial<Died> = {}): Letter => ({
  ...newLetter('letter', died(of)),
  state,
})

describe('a letter', () => {
  it.each<[string, [before: LetterState, fact: Fact, after: LetterState | undefined], string[]]>([
    [
      'open, is resolved',
      [{ status: 'open' }, resolved(), { status: 'resolved', outcome: 'applied' }],
      [],
    ],
    [
      'redriving, is resolved, and its redrive with it',
      [
        { status: 'redriving', redriveId: 'r1' },
        resolved('r1'),
        { status: 'resolved', outcome: 'applied' },
      ],
      ['r1 resolved'],
    ],
    [
      'redriving, is resolved without a word of a redrive: the one under way ends',
      [
        { status: 'redriving', redriveId: 'r1' },
        resolved(),
        { status: 'resolved', outcome: 'applied' },
      ],
      ['r1 resolved'],
    ],
    [
      'redriving, fails again',
      [{ status: 'redriving', redriveId: 'r1' }, died({ redriveId: 'r1' }), { status: 'open' }],
      ['r1 failed'],
    ],
    [
      'redriving, and the broker dead-letters another copy',
      [
        { status: 'redriving', redriveId: 'r1' },
        died({ subject: { ...died().subject, source: 'dlq' } }),
        undefined,
      ],
      [],
    ],
    [
      'resolved, fails again',
      [{ status: 'resolved', outcome: 'applied' }, died(), { status: 'open' }],
      [],
    ],
    [
      'given up, fails on the way there: it stays given up',
      [
        { status: 'archived', outcome: null },
        died({ redriveId: 'r1' }),
        { status: 'archived', outcome: null },
      ],
      ['r1 failed'],
    ],
    [
      'given up by its consumer too, fails again',
      [{ status: 'archived', outcome: 'discarded' }, died(), { status: 'open' }],
      [],
    ],
    [
      'given up, is applied by a redrive that was faster',
      [
        { status: 'archived', outcome: null },
        resolved('r1'),
        { status: 'resolved', outcome: 'applied' },
      ],
      ['r1 resolved'],
    ],
  ])('%s', (_, [before, fact, after], ends) => {
    const applied = applyFact(letter(before), fact)
    expect(applied?.letter.state).toEqual(after)
    const said = applied?.redriveEnds.map(({ redriveId, result }) => `${redriveId} ${result}`)
    expect(said ?? []).toEqual(ends)
  })

  it('that is given up by a person is archived when its consumer says so', () => {
    const discarded: Fact = {
      ...resolved(),
      kind: 'resolved',
      outcome: 'discarded',
      redriveId: null,
    }
    const applied = applyFact(letter({ status: 'archived', outcome: null }), discarded)
    expect(applied?.letter.state).toEqual({ status: 'archived', outcome: 'discarded' })
    const unasked = applyFact(letter({ status: 'open' }), discarded)
    expect(unasked?.letter.state).toEqual({ status: 'resolved', outcome: 'discarded' })
  })

  it('that nobody takes back opens from the archive when it fails again', () => {
    const relayed = { consumer: 'outbox-relay.orders' }
    const applied = applyFact(letter({ status: 'archived', outcome: null }, relayed), died(relayed))
    expect(applied?.letter.state).toEqual({ status: 'open' })
  })

  it('keeps the time of its first failure and of the newest fact', () => {
    const known = letter({ status: 'open' }, { at: at(100) })
    const failure = { ...died().failure, attempts: 9, firstFailedAt: at(90), lastFailedAt: at(95) }
    const applied = applyFact(known, died({ at: at(95), failure }))
    expect(applied?.letter).toMatchObject({
      failure: { attempts: 9, firstFailedAt: at(0), lastFailedAt: at(95) },
      factAt: at(100),
    })
  })

  it('is not changed by a fact older than clocks can differ, nor by one the inbox cannot know unless newer', () => {
    const known = letter({ status: 'resolved', outcome: 'applied' }, { at: at(1000) })
    const before = new Date(at(1000).getTime() - clockSkewMs)
    expect(applyFact(known, died({ at: before }))).toBeDefined()
    expect(applyFact(known, died({ at: new Date(before.getTime() - 1) }))).toBeUndefined()
    expect(applyFact(known, died({ at: at(1000), id: null }))).toBeUndefined()
    expect(applyFact(known, died({ at: at(1001), id: null }))).toBeDefined()
  })
})
