import { describe, expect, it } from 'vitest'
import { type LetterCounts, nextStep, operated, type Redrive } from './redrive.ts'

const redrive: Redrive = {
  redriveId: 'r',
  by: 'ada',
  ratePerSecond: 10,
  canary: 3,
  canaryState: 'pending',
  state: 'running',
}
const counts = (given: Partial<LetterCounts>): LetterCounts => ({
  pending: 0,
  sent: 0,
  resolved: 0,
  failed: 0,
  ...given,
})

describe('the next step of a redrive', () => {
  it.each<[string, Partial<LetterCounts>, string]>([
    ['sends the canary', { pending: 4 }, 'send 3 pending'],
    ['sends what is missing of the canary', { pending: 4, sent: 1, resolved: 1 }, 'send 1 pending'],
    ['waits for the canary', { pending: 4, sent: 2, resolved: 1 }, 'wait pending'],
    ['goes on when all of the canary are resolved', { pending: 4, resolved: 3 }, 'send 20 passed'],
    ['pauses when one of the canary fails', { pending: 4, sent: 2, failed: 1 }, 'pause failed'],
    ['ends when fewer letters than the canary are all resolved', { resolved: 2 }, 'end passed'],
    [
      'waits for the rest of a failed canary that was everything',
      { sent: 1, failed: 1 },
      'wait pending',
    ],
    ['ends when a failed canary was everything', { failed: 1, resolved: 1 }, 'end failed'],
  ])('%s', (_, given, expected) => {
    const step = nextStep(redrive, counts(given), 20)
    const limit = step.kind === 'send' ? `${step.limit} ` : ''
    expect(`${step.kind} ${limit}${step.canaryState}`).toBe(expected)
  })

  it.each<[string, Partial<LetterCounts>, string]>([
    ['sends while letters are pending, whatever failed', { pending: 1, failed: 9 }, 'send'],
    ['waits for what was sent', { sent: 1 }, 'wait'],
    ['ends when nothing is left', { resolved: 1 }, 'end'],
  ])('without a canary: %s', (_, given, expected) => {
    const none = { ...redrive, canary: 0, canaryState: 'none' as const }
    expect(nextStep(none, counts(given), 20).kind).toBe(expected)
  })
})

describe('a person', () => {
  it('cancels what is not over', () => {
    expect(operated(redrive, 'cancel')?.state).toBe('cancelled')
    expect(operated({ ...redrive, state: 'paused' }, 'cancel')?.state).toBe('cancelled')
    expect(operated({ ...redrive, state: 'done' }, 'cancel')).toBeUndefined()
  })

  it('resumes only what is paused, in spite of its canary', () => {
    const paused = { ...redrive, state: 'paused', canaryState: 'failed' } as const
    expect(operated(paused, 'resume')).toMatchObject({
      state: 'running',
      canaryState: 'overridden',
    })
    expect(operated(redrive, 'resume')).toBeUndefined()
  })
})
