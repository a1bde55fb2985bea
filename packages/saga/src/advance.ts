import type { Definition } from './definition.ts'
import { decide } from './machine.ts'
import type {
  Decision,
  Effect,
  LocalEffect,
  Reply,
  ReplyOutcome,
  SagaInput,
  SagaState,
} from './state.ts'

/** What a local action answers. */
export interface LocalOutcome {
  readonly outcome: Exclude<ReplyOutcome, 'fenced'>
  readonly result?: unknown
  readonly reason?: string
}

/** One input to one saga, in the orchestrator's transaction. */
export interface Turn<Context> {
  readonly state: SagaState<Context> | undefined
  readonly input: SagaInput<Context>
  readonly now: number
  /**
   * Runs a local action on the rows that the transaction has loaded and locked. A refusal is an outcome; what it throws is a
   * fault, with which the transaction rolls back.
   */
  readonly local: (effect: LocalEffect) => LocalOutcome
}

/** An input with its decision: what one row of the log holds. */
export interface DecidedInput<Context> extends Decision<Context> {
  readonly input: SagaInput<Context>
}

/** What a transaction saves and sends. */
export interface Advance<Context> {
  readonly state: SagaState<Context> | undefined
  /** In order: the input, then the outcome of each local action that it led to. */
  readonly decisions: readonly DecidedInput<Context>[]
  /** Of all decisions, without the local ones, which have been run. */
  readonly effects: readonly Exclude<Effect, LocalEffect>[]
}

/**
 * Decides an input and runs the local actions that this leads to, until the saga waits for something outside or has ended.
 * Everything happens in memory: an orchestrator calls it for each input of a batch, in order, handing each the state that
 * the one before it left, and writes once.
 */
export function advance<Context>(
  definition: Definition<Context>,
  { state, input, now, local }: Turn<Context>,
): Advance<Context> {
  const decisions: DecidedInput<Context>[] = []
  const effects: Exclude<Effect, LocalEffect>[] = []
  let next: SagaInput<Context> | undefined = input
  let current = state
  while (next !== undefined) {
    const decision: Decision<Context> = decide(definition, current, next, now)
    decisions.push({ ...decision, input: next })
    current = decision.state
    next = undefined
    for (const effect of decision.effects) {
      if (effect.kind === 'local') next = outcomeOf(effect, local)
      else effects.push(effect)
    }
  }
  return { state: current, decisions, effects }
}

// One command is under way at a time, so a decision has one local effect at most.
function outcomeOf(effect: LocalEffect, local: (effect: LocalEffect) => LocalOutcome): Reply {
  const { step, direction } = effect
  return { ...local(effect), kind: 'reply', step, direction }
}
