import {
  type Decision,
  decide,
  defineSaga,
  type Effect,
  type Reply,
  type ReplyOutcome,
  type SagaInput,
  type SagaState,
} from '@edp/saga'

export interface Trip {
  readonly seats: number
  readonly bookingId?: string
}

const command = (name: string) =>
  ({ kind: 'remote', command: name, payload: (trip: Trip) => trip }) as const
const policy = { resendAfterMs: 100, resendAfterMaxMs: 300, undoSilenceMs: 300, doSilenceMs: 300 }

export const trip = defineSaga<Trip>('trip', 1)
  .compensatable('book', {
    do: { ...command('book'), fold: (on, result) => ({ ...on, bookingId: String(result) }) },
    undo: command('unbook'),
    policy,
  })
  .compensatable('insure', { do: command('insure'), undo: command('uninsure'), policy })
  .pivot('pay', { do: command('pay'), fence: command('never-pay'), policy })
  .retriable('tell', { do: command('tell'), policy })
  .deadline({ minutes: 1 })
  .build()

export const confirmed = defineSaga<Trip>('confirmed', 1)
  .compensatable('book', { do: command('book'), undo: command('unbook'), policy })
  .pivot('confirm', { do: { kind: 'local', action: 'confirm' } })
  .build()

export const start = { kind: 'start', context: { seats: 2 } } as const
export const cancel = { kind: 'cancel', reason: 'changed my mind' } as const
export const retry = { kind: 'operator', verb: 'retry' } as const
export const skip = { kind: 'operator', verb: 'skip' } as const
export const deadline = 60_000

type Direction = Reply['direction']

export function reply(step: string, direction: Direction, outcome: ReplyOutcome, rest = {}): Reply {
  return { kind: 'reply', step, direction, outcome, ...rest }
}

type Told = SagaInput<Trip> | 'due' | 'deadline' | 'paused'

/** What comes of inputs one after the other; `due` comes when it is due. */
export function after(inputs: readonly Told[], definition = trip) {
  let state: SagaState<Trip> | undefined
  let now = 0
  let effects: readonly Effect[] = []
  let note = ''
  for (const told of inputs) {
    const dueAt = state && 'dueAt' in state ? state.dueAt : 0
    if (told === 'due' || told === 'paused') now = dueAt
    if (told === 'deadline') now = deadline
    const input: SagaInput<Trip> =
      typeof told === 'string'
        ? {
            kind: 'due',
            version: state?.version ?? 0,
            transport: told === 'paused' ? 'paused' : 'running',
          }
        : told
    const before = state
    const decision = decide(definition, state, input, now)
    state = decision.state
    ;({ effects, note } = decision)
    // Every decision that changes nothing keeps the very state, and every other one counts.
    checkVersion(before, decision)
  }
  if (!state) throw new Error('there is no saga')
  return { state, effects, note, sent: effects.map(describeEffect) }
}

// Every decision that changes nothing keeps the very state, and every other one counts.
function checkVersion(
  before: SagaState<Trip> | undefined,
  { state, effects }: Decision<Trip>,
): void {
  const expected = state === before ? (before?.version ?? 0) : (before?.version ?? 0) + 1
  if (state?.version !== expected) throw new Error(`version ${state?.version}, not ${expected}`)
  if (state === before && effects.length > 0) throw new Error('unchanged, with effects')
}

function describeEffect(effect: Effect): string {
  switch (effect.kind) {
    case 'command':
      return `${effect.command} #${effect.attempt}`
    case 'local':
      return `local ${effect.action}`
    case 'turned':
      return `turned: ${effect.cause.kind}`
    case 'needs-human':
      return `needs human: ${effect.direction} ${effect.step} ${effect.trouble}`
    case 'ended':
      return effect.status
    default:
      return effect satisfies never
  }
}

export const booked = [start, reply('book', 'do', 'ok', { result: 'b-1' })]
export const insured = [...booked, reply('insure', 'do', 'ok')]
export const paid = [...insured, reply('pay', 'do', 'ok')]
