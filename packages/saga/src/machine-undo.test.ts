import { describe, expect, test } from 'vitest'
import { after, booked, cancel, insured, paid, reply, retry, skip, start } from '../test/trip.ts'

describe('R8: cancel', () => {
  test.each([
    ['the first step', [start], ['turned: cancel', 'unbook #1']],
    ['the second step', booked, ['turned: cancel', 'uninsure #1']],
  ] as const)('at %s undoes from this step', (_name, before, sent) => {
    expect(after([...before, cancel]).sent).toEqual(sent)
  })

  test.each([
    ['behind the pivot', paid],
    ['behind the pivot when a person is needed', [...paid, reply('tell', 'do', 'failed')]],
  ] as const)('%s is refused', (_name, before) => {
    expect(after([...before, cancel]).note).toBe('too-late-to-cancel')
  })

  test.each([
    ['while it is undone', [...booked, cancel]],
    ['while it is fenced', [...insured, cancel]],
    ['while its undo needs a person', [...booked, cancel, reply('insure', 'undo', 'failed')]],
  ] as const)('%s changes nothing', (_name, before) => {
    expect(after([...before, cancel]).note).toBe('already-cancelling')
  })
})

describe('an undo that fails', () => {
  const undoing = [...booked, cancel]
  const failed = [...undoing, reply('insure', 'undo', 'failed')]

  test('R10: needs a person, and nothing after it is undone', () => {
    const { state, sent } = after(failed)
    expect(state).toMatchObject({ status: 'needs_human', step: 'insure', direction: 'undo' })
    expect(sent).toEqual(['needs human: undo insure failed'])
  })

  test('R10: silence beyond its limit needs a person; sending goes on for good', () => {
    expect(after([...undoing, 'due']).state.status).toBe('compensating')
    expect(after([...undoing, 'due', 'due']).sent).toEqual([
      'uninsure #3',
      'needs human: undo insure silent',
    ])
    expect(after([...failed, 'due', 'due', 'due', 'due', 'due']).sent).toEqual(['uninsure #6'])
  })

  test('R10: failing again is the same trouble', () => {
    expect(after([...failed, reply('insure', 'undo', 'failed')]).note).toBe('failed')
  })

  test('R10: silence does not count while the transport is paused', () => {
    const paused = Array.from({ length: 20 }, () => 'paused' as const)
    expect(after([...undoing, ...paused]).state).toMatchObject({ status: 'compensating' })
    expect(after([...undoing, 'due', ...paused, 'due']).state.status).toBe('needs_human')
  })

  test('R11: a late undo ok heals it', () => {
    const { state, sent } = after([...failed, reply('insure', 'undo', 'ok')])
    expect(state).toMatchObject({ status: 'compensating', step: 'book' })
    expect(sent).toEqual(['unbook #1'])
  })

  test('R12: retry sends it again; the late ok of an earlier attempt then counts', () => {
    expect(after([...failed, retry]).sent).toEqual(['uninsure #2'])
    expect(after([...failed, retry, reply('insure', 'undo', 'ok')]).sent).toEqual(['unbook #1'])
  })

  test('R12: skip is recorded and undoes the one before; its late ok changes nothing', () => {
    const { state, sent } = after([...failed, skip])
    expect(state.skipped).toEqual(['insure'])
    expect(sent).toEqual(['unbook #1'])
    const late = after([...failed, skip, reply('insure', 'undo', 'ok')])
    expect(late.note).toBe('duplicate')
    expect(late.state).toEqual(state)
  })

  test('R12: a skip while the undo is in flight, of the last one too, ends it', () => {
    const { state } = after([start, cancel, 'due', skip])
    expect(state).toMatchObject({ status: 'compensated', skipped: ['book'] })
  })
})

describe('R12: nothing but an undo is skipped', () => {
  test.each([
    ['a step', booked],
    ['the pivot', insured],
    ['a fence', [...insured, cancel]],
  ] as const)('not %s', (_name, before) => {
    expect(after([...before, skip]).note).toBe('not-skippable')
    expect(after([...before, retry]).note).toBe('resent')
  })
})
