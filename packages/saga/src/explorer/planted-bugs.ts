import { decide } from '../machine.ts'
import type { Decision, Reply } from '../state.ts'
import type { Definition } from '../definition.ts'
import { exploreSaga } from './explore-saga.ts'
import { lossyBag, type NetworkKind } from './network.ts'
import { safety } from './properties.ts'
import { realRules, type SagaRules } from './rules.ts'
import { type Exploration, liveness } from './search.ts'

/** A rule that is wrong in a way that people get it wrong, with what the explorer has to find. */
export interface PlantedBug {
  readonly name: string
  readonly rules: SagaRules
  /** Whether it takes a pivot that is decided elsewhere. */
  readonly remotePivot: boolean
  readonly network: NetworkKind
  readonly violates: string
}

type Decide = SagaRules['decide']
type Told = Parameters<Decide>

const set: NetworkKind = { model: 'set' }

function inLedger(name: string, part: Partial<SagaRules['participant']>, violates: string) {
  const participant = { ...realRules.participant, ...part }
  return { name, rules: { ...realRules, participant }, remotePivot: false, network: set, violates }
}

function inMachine(name: string, wrong: Decide, violates: string): PlantedBug {
  return {
    name,
    rules: { ...realRules, decide: wrong },
    remotePivot: false,
    network: set,
    violates,
  }
}

/** Every wrong rule of an orchestrated saga that the explorer is known to find. */
export const plantedBugs: readonly PlantedBug[] = [
  inLedger('no tombstone', { tombstone: () => undefined }, safety.compensated),
  inLedger(
    'blind undo',
    { judgeUndo: () => ({ kind: 'act', on: 'done', reply: null }) },
    safety.undoOfDone,
  ),
  inMachine('undo only what answered', undoWhatAnswered, safety.compensated),
  inMachine('reply not matched to its step', matchNothing, safety.compensated),
  {
    ...inMachine('compensate on a silent pivot', giveUpSilentPivot, safety.pivot),
    remotePivot: true,
  },
  { ...inMachine('cancel at the pivot', cancelPivot, safety.pivot), remotePivot: true },
  inLedger(
    'a key per attempt',
    { rowKey: (direction, attempt) => `${direction}#${attempt}` },
    safety.once,
  ),
  inMachine('swallowed undo failure', swallowFailure, safety.compensated),
  {
    ...inMachine('delete on end', decide, safety.reverse),
    rules: { ...realRules, keepsEnded: false },
  },
  { ...inLedger('silent on duplicate', { answersAgain: false }, liveness), network: lossyBag },
  {
    ...inMachine('resend under the old message id', decide, liveness),
    network: lossyBag,
    rules: { ...realRules, network: { ...realRules.network, messageId: oldId } },
  },
  inLedger(
    'void by look-up',
    { voidKey: (gateway) => (gateway === 'charged' ? 'refunded' : gateway) },
    // The stock is back, and then the paused caller charges.
    safety.reverse,
  ),
  inLedger('undo without its row lock', { undoLocksRow: false }, safety.undoOfDone),
]

/** What the explorer makes of a wrong rule. No undo is skipped, which would only be another way to the same places. */
export function exploreBug<Context>(
  { rules, network }: PlantedBug,
  definition: Definition<Context>,
  gatewaySteps: readonly string[],
): Exploration {
  return exploreSaga(definition, { network, gatewaySteps, rules, skips: 0 })
}

// The id of the first attempt of a command, for all of them; replies are new each time.
function oldId(message: string): string | undefined {
  return message.includes('#') ? message : undefined
}

// What was not answered is taken for not done.
function undoWhatAnswered(...told: Told): Decision<null> {
  const decision = decide(...told)
  if (decision.note !== 'deadline' && decision.note !== 'cancelled') return decision
  return asIfRefused(told)
}

function giveUpSilentPivot(...told: Told): Decision<null> {
  const decision = decide(...told)
  return decision.note === 'fencing' && told[2].kind === 'due' ? asIfRefused(told) : decision
}

function cancelPivot(...told: Told): Decision<null> {
  const decision = decide(...told)
  return decision.note === 'fencing' && told[2].kind === 'cancel' ? asIfRefused(told) : decision
}

function asIfRefused([definition, state, input, now]: Told): Decision<null> {
  if (state === undefined || !('step' in state)) return decide(definition, state, input, now)
  const { step, direction } = state
  const refused: Reply = { kind: 'reply', step, direction, outcome: 'refused' }
  return decide(definition, state, refused, now)
}

// Whatever comes is the answer that is waited for.
function matchNothing(...[definition, state, input, now]: Told): Decision<null> {
  if (input.kind !== 'reply' || state === undefined || !('step' in state)) {
    return decide(definition, state, input, now)
  }
  const { step, direction } = state
  return decide(definition, state, { ...input, step, direction }, now)
}

function swallowFailure(...[definition, state, input, now]: Told): Decision<null> {
  const failed = input.kind === 'reply' && input.direction === 'undo' && input.outcome === 'failed'
  return decide(definition, state, failed ? { ...input, outcome: 'ok' } : input, now)
}
