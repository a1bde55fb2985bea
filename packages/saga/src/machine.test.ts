import { describe, expect, test } from 'vitest'
import {
  after,
  booked,
  cancel,
  confirmed,
  deadline,
  insured,
  paid,
  reply,
  retry,
  skip,
  start,
  trip,
  type Trip,
} from '../test/trip.ts'
import { decide, type SagaInput } from './index.ts'

describe('forward', () => {
  test('a start sends the first command and sets the deadline', () => {
    const { state, effects, note } = after([start])
    expect(note).toBe('started')
    expect(state).toEqual({
      status: 'running',
      step: 'book',
      direction: 'do',
      attempt: 1,
      context: { seats: 2 },
      version: 1,
      dueAt: 100,
      deadlineAt: deadline,
      silentMs: 0,
      skipped: [],
      cause: null,
    })
    expect(effects).toEqual([
      {
        kind: 'command',
        step: 'book',
        direction: 'do',
        attempt: 1,
        command: 'book',
        payload: { seats: 2 },
      },
    ])
  })

  test('a saga may be started with a deadline of its own', () => {
    expect(after([{ ...start, deadlineAt: 7 }]).state).toMatchObject({ deadlineAt: 7, dueAt: 7 })
  })

  test('R2: ok folds the result into the context and sends the next command', () => {
    const { state, sent } = after(booked)
    expect(state.context).toEqual({ seats: 2, bookingId: 'b-1' })
    expect(sent).toEqual(['insure #1'])
  })

  test('R2: ok of the last step completes', () => {
    const { state, sent } = after([...paid, reply('tell', 'do', 'ok')])
    expect(state.status).toBe('completed')
    expect(sent).toEqual(['completed'])
  })

  test('R4: due before the deadline sends the same command again, later each time up to a bound', () => {
    const waits = [1, 2, 3, 4].map((times) => {
      const { state, sent } = after([start, ...Array.from({ length: times }, () => 'due' as const)])
      expect(sent).toEqual([`book #${times + 1}`])
      const earlier = after([start, ...Array.from({ length: times - 1 }, () => 'due' as const)])
      return 'dueAt' in state && 'dueAt' in earlier.state ? state.dueAt - earlier.state.dueAt : 0
    })
    expect(waits).toEqual([200, 300, 300, 300])
  })

  test('a reply of attempt 1 after attempt 2 counts, and the second one is a duplicate', () => {
    expect(after([start, 'due', reply('book', 'do', 'ok')]).sent).toEqual(['insure #1'])
    expect(after([start, 'due', reply('book', 'do', 'ok'), reply('book', 'do', 'ok')]).note).toBe(
      'duplicate',
    )
  })

  test('a broker that is down uses up no attempt and no silence', () => {
    const { state, sent, note } = after([...paid, 'paused', 'paused', 'paused', 'paused'])
    expect(note).toBe('postponed')
    expect(sent).toEqual([])
    expect(state).toMatchObject({ status: 'running', attempt: 1, silentMs: 0 })
  })

  test('a technical failure before the pivot compensates nothing', () => {
    expect(after([start, reply('book', 'do', 'failed')]).note).toBe('failed')
    expect(after([...insured, reply('pay', 'do', 'failed')]).note).toBe('failed')
  })
})

describe('R1: a reply that does not belong to the command under way changes nothing', () => {
  test.each([
    ['a duplicate', insured, reply('book', 'do', 'ok'), 'duplicate'],
    ['of a step that was not asked', booked, reply('pay', 'do', 'ok'), 'unexpected'],
    ['of a step that is not there', booked, reply('fly', 'do', 'ok'), 'unexpected'],
    ['of an undo that was not asked', booked, reply('insure', 'undo', 'ok'), 'unexpected'],
    ['of a fence that was not asked', insured, reply('pay', 'fence', 'fenced'), 'unexpected'],
    [
      'late ok after the deadline started the compensation',
      [...booked, 'deadline'],
      reply('insure', 'do', 'ok'),
      'late',
    ],
    ['a refusal that is late', [...booked, cancel], reply('insure', 'do', 'refused'), 'late'],
    [
      'a duplicate of an undo',
      [...booked, cancel, reply('insure', 'undo', 'ok')],
      reply('insure', 'undo', 'ok'),
      'duplicate',
    ],
    [
      'a duplicate of a fence',
      [...insured, cancel, reply('pay', 'fence', 'fenced')],
      reply('pay', 'fence', 'fenced'),
      'duplicate',
    ],
    [
      'an answer that its command does not have',
      booked,
      reply('insure', 'do', 'fenced'),
      'unexpected',
    ],
  ] as const)('%s', (_name, before, input, note) => {
    const { state } = after(before)
    const decision = decide(trip, state, input, 0)
    expect(decision).toEqual({ state, effects: [], note })
    expect(decision.state).toBe(state)
  })

  test('of an unknown saga', () => {
    expect(decide(trip, undefined, reply('book', 'do', 'ok'), 0)).toEqual({
      state: undefined,
      effects: [],
      note: 'unknown-saga',
    })
  })
})

describe('backward', () => {
  test('R3: refused undoes from the step before', () => {
    const { state, sent } = after([...booked, reply('insure', 'do', 'refused', { reason: 'old' })])
    expect(state).toMatchObject({
      status: 'compensating',
      step: 'book',
      cause: { kind: 'refused', step: 'insure', reason: 'old' },
    })
    expect(sent).toEqual(['turned: refused', 'unbook #1'])
  })

  test('R3: refused at the first step ends at once, with nothing to undo', () => {
    const { state, sent } = after([start, reply('book', 'do', 'refused')])
    expect(state.status).toBe('compensated')
    expect(sent).toEqual(['turned: refused', 'compensated'])
  })

  test('R3: refused at the pivot undoes from the step before', () => {
    expect(after([...insured, reply('pay', 'do', 'refused')]).sent).toEqual([
      'turned: refused',
      'uninsure #1',
    ])
  })

  test('R5: the deadline undoes from this step, whose outcome is unknown', () => {
    expect(after([...booked, 'deadline']).sent).toEqual(['turned: deadline', 'uninsure #1'])
  })

  test('R5: the deadline counts while the broker is down', () => {
    const due = { kind: 'due', version: 1, transport: 'paused' } as const
    expect(decide(trip, after([start]).state, due, deadline).note).toBe('deadline')
  })

  test('R9: undo ok undoes the one before, one at a time, and below the first ends', () => {
    const first = [...booked, cancel, reply('insure', 'undo', 'ok')]
    expect(after(first).sent).toEqual(['unbook #1'])
    const { state, sent } = after([...first, reply('book', 'undo', 'ok')])
    expect(sent).toEqual(['compensated'])
    expect(state).toMatchObject({
      status: 'compensated',
      cause: { kind: 'cancel', step: 'insure', reason: 'changed my mind' },
    })
  })

  test('an undo is sent again without end and past the deadline', () => {
    const { state } = after([...booked, cancel, 'deadline'])
    expect(state).toMatchObject({ status: 'compensating', attempt: 2 })
  })
})

describe('at a remote pivot', () => {
  test.each([
    ['R6: the deadline', 'deadline'],
    ['R8: cancel', cancel],
  ] as const)('%s fences and undoes nothing yet', (_name, input) => {
    const { state, sent } = after([...insured, input])
    expect(state.status).toBe('fencing')
    expect(sent).toEqual(['never-pay #1'])
  })

  test.each(['fenced', 'refused'] as const)('R6: %s undoes from the step before', (outcome) => {
    const { sent } = after([...insured, cancel, reply('pay', 'fence', outcome)])
    expect(sent).toEqual(['turned: cancel', 'uninsure #1'])
  })

  test('R6: ok goes forward, since it was done', () => {
    const { state, sent } = after([...insured, cancel, reply('pay', 'fence', 'ok')])
    expect(state).toMatchObject({ status: 'running', step: 'tell', cause: null })
    expect(sent).toEqual(['tell #1'])
  })

  test('a fence is sent until it is answered, whatever the do answers meanwhile', () => {
    const fencing = [...insured, 'deadline', 'due', 'due', 'due', 'due'] as const
    expect(after(fencing).sent).toEqual(['never-pay #5'])
    expect(after([...fencing, reply('pay', 'do', 'ok')]).note).toBe('late')
    expect(after([...fencing, reply('pay', 'fence', 'failed')]).note).toBe('failed')
  })
})

describe('behind the pivot', () => {
  test('there is no deadline', () => {
    expect(after([...paid, 'deadline']).sent).toEqual(['tell #2'])
  })

  test.each(['refused', 'failed'] as const)(
    'R7: %s needs a person and undoes nothing',
    (outcome) => {
      const { state, sent } = after([...paid, reply('tell', 'do', outcome)])
      expect(state).toMatchObject({ status: 'needs_human', step: 'tell', direction: 'do' })
      expect(sent).toEqual([`needs human: do tell ${outcome}`])
    },
  )

  test('R7: silence beyond its limit needs a person, and is sent on', () => {
    const { state, sent } = after([...paid, 'due', 'due'])
    expect(sent).toEqual(['tell #3', 'needs human: do tell silent'])
    expect(state).toMatchObject({ status: 'needs_human', attempt: 3, trouble: 'silent' })
    expect(after([...paid, 'due', 'due', 'due']).sent).toEqual(['tell #4'])
  })

  test('a late ok while it needs a person completes it', () => {
    const inputs = [...paid, reply('tell', 'do', 'failed'), reply('tell', 'do', 'ok')]
    expect(after(inputs).state.status).toBe('completed')
  })

  test('R12: it is never skipped', () => {
    expect(after([...paid, reply('tell', 'do', 'failed'), skip]).note).toBe('not-skippable')
  })
})

describe('R13: nothing changes after the end', () => {
  const ends = {
    completed: [...paid, reply('tell', 'do', 'ok')],
    compensated: [start, reply('book', 'do', 'refused')],
  }
  test.each(Object.entries(ends))('%s', (status, before) => {
    const inputs: SagaInput<Trip>[] = [
      start,
      cancel,
      retry,
      skip,
      reply('book', 'do', 'ok'),
      reply('tell', 'do', 'refused'),
      { kind: 'due', version: after(before).state.version, transport: 'running' },
    ]
    for (const input of inputs) {
      const decided = after([...before, input])
      expect(decided.note).toBe('ended')
      expect(decided.state.status).toBe(status)
    }
  })
})

test('the same order twice is one saga', () => {
  expect(after([start, start]).note).toBe('already-started')
})

test('a stale timer changes nothing', () => {
  const { state } = after(booked)
  const due = { kind: 'due', version: state.version - 1, transport: 'running' } as const
  expect(decide(trip, state, due, deadline)).toEqual({ state, effects: [], note: 'stale-timer' })
})

test('a state survives JSON', () => {
  for (const inputs of [booked, [...insured, cancel], [...booked, cancel, skip]]) {
    const { state } = after(inputs)
    expect(JSON.parse(JSON.stringify(state))).toEqual(state)
  }
})

test('a local pivot is asked within the transaction, and can no longer be cancelled then', () => {
  const asked = after([start, reply('book', 'do', 'ok')], confirmed)
  expect(asked.sent).toEqual(['local confirm'])
  expect(decide(confirmed, asked.state, cancel, 0).note).toBe('too-late-to-cancel')
})
