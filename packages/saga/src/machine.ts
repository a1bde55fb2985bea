import { ask, deadlineOf, dueAtOf, isRemote, resendDelayMs, silenceMaxMs } from './asking.ts'
import type { Definition, Step } from './definition.ts'
import type {
  ActiveState,
  Cause,
  Decision,
  Effect,
  IgnoredNote,
  Note,
  Reply,
  SagaInput,
  SagaState,
  Trouble,
} from './state.ts'
import { unreachable } from './unreachable.ts'

/**
 * What an input makes of a saga. Pure, and total: every input to every state has an answer. Only a fold that cannot read a
 * result throws.
 *
 * When the effects contain a `local` one, its outcome has to be decided next, as a reply, in the same transaction: a state in
 * which a local step is under way is never saved, unless that step `needs_human`. `advance` does both.
 */
export function decide<Context>(
  definition: Definition<Context>,
  state: SagaState<Context> | undefined,
  input: SagaInput<Context>,
  now: number,
): Decision<Context> {
  if (state === undefined) {
    if (input.kind !== 'start') return { state, effects: [], note: 'unknown-saga' }
    return start(definition, input, now)
  }
  if (state.status === 'completed' || state.status === 'compensated') return ignore(state, 'ended')
  const saga: Saga<Context> = { definition, state, now, ...locate(definition, state.step) }
  switch (input.kind) {
    case 'start':
      return ignore(state, 'already-started')
    case 'reply':
      return onReply(saga, input)
    case 'due':
      return onDue(saga, input)
    case 'cancel':
      return onCancel(saga, input.reason ?? null)
    case 'operator':
      return input.verb === 'retry' ? resend(saga) : skip(saga)
    default:
      return unreachable(input)
  }
}

/** A saga under way, with the step that it waits for. */
interface Saga<Context> {
  readonly definition: Definition<Context>
  readonly state: ActiveState<Context>
  readonly now: number
  readonly step: Step<Context>
  readonly index: number
}

function locate<Context>(
  { name, version, steps }: Definition<Context>,
  stepName: string,
): { step: Step<Context>; index: number } {
  const index = steps.findIndex((one) => one.name === stepName)
  const step = steps[index]
  if (step === undefined) throw new Error(`${name}@${version} has no step ${stepName}`)
  return { step, index }
}

function ignore<Context>(state: SagaState<Context>, note: IgnoredNote): Decision<Context> {
  return { state, effects: [], note }
}

function start<Context>(
  definition: Definition<Context>,
  { context, deadlineAt }: { readonly context: Context; readonly deadlineAt?: number },
  now: number,
): Decision<Context> {
  const { deadlineMs } = definition
  const facts: Facts<Context> = {
    context,
    version: 1,
    deadlineAt: deadlineAt ?? (deadlineMs === null ? null : now + deadlineMs),
    skipped: [],
  }
  return forward(definition, facts, { index: 0, now, note: 'started' })
}

type Facts<Context> = Pick<SagaState<Context>, 'context' | 'version' | 'deadlineAt' | 'skipped'>

/** What survives of a state in the next one. */
function factsAfter<Context>(state: SagaState<Context>): Facts<Context> {
  const { context, version, deadlineAt, skipped } = state
  return { context, version: version + 1, deadlineAt, skipped }
}

interface Move {
  readonly index: number
  readonly now: number
  readonly note: Note
}

/** R2: on to a step, or to the end. */
function forward<Context>(
  definition: Definition<Context>,
  facts: Facts<Context>,
  { index, now, note }: Move,
): Decision<Context> {
  const step = definition.steps[index]
  if (step === undefined) {
    return {
      state: { ...facts, status: 'completed', cause: null },
      effects: [{ kind: 'ended', status: 'completed', cause: null }],
      note: 'completed',
    }
  }
  const deadlineAt = deadlineOf(step, { direction: 'do', deadlineAt: facts.deadlineAt })
  return {
    state: {
      ...facts,
      ...firstAttempt(step, { now, deadlineAt }),
      status: 'running',
      direction: 'do',
      cause: null,
    },
    effects: [ask(step, 'do', { attempt: 1, context: facts.context })],
    note,
  }
}

/** R3, R5, R9: undo a step, then the one before it, or end. Everything from the first undo on goes in reverse order. */
function undoFrom<Context>(
  definition: Definition<Context>,
  facts: Facts<Context>,
  cause: Cause,
  { index, now, note }: Move,
): Decision<Context> {
  const step = definition.steps[index]
  if (step === undefined) {
    return {
      state: { ...facts, status: 'compensated', cause },
      effects: [{ kind: 'ended', status: 'compensated', cause }],
      note: 'compensated',
    }
  }
  const waiting = firstAttempt(step, { now, deadlineAt: null })
  return {
    state: { ...facts, ...waiting, status: 'compensating', direction: 'undo', cause },
    effects: [ask(step, 'undo', { attempt: 1, context: facts.context })],
    note,
  }
}

/** Begins the undoing. */
function turn<Context>(saga: Saga<Context>, cause: Cause, move: Omit<Move, 'now'>) {
  const { definition, state, now } = saga
  const decision = undoFrom(definition, factsAfter(state), cause, { ...move, now })
  const turned: Effect = { kind: 'turned', cause }
  return { ...decision, effects: [turned, ...decision.effects] }
}

/** R6, R8: asks a remote pivot whether it was done, and forbids it else. */
function fence<Context>(saga: Saga<Context>, cause: Cause): Decision<Context> {
  const { step, state, now } = saga
  const waiting = firstAttempt(step, { now, deadlineAt: null })
  const facts = factsAfter(state)
  return {
    state: { ...facts, ...waiting, status: 'fencing', direction: 'fence', cause },
    effects: [ask(step, 'fence', { attempt: 1, context: facts.context })],
    note: 'fencing',
  }
}

function onReply<Context>(saga: Saga<Context>, reply: Reply): Decision<Context> {
  const { state } = saga
  if (reply.step !== state.step || reply.direction !== state.direction) {
    return ignore(state, stray(saga, reply))
  }
  switch (state.direction) {
    case 'do':
      return onDone(saga, reply)
    case 'undo':
      return onUndone(saga, state.cause, reply)
    case 'fence':
      return onFenced(saga, state.cause, reply)
    default:
      return unreachable(state)
  }
}

/** R1: what a reply is that does not belong to the command under way. */
function stray<Context>({ definition, state, index }: Saga<Context>, reply: Reply): IgnoredNote {
  const replied = definition.steps.findIndex((step) => step.name === reply.step)
  if (replied < 0) return 'unexpected'
  switch (reply.direction) {
    case 'do':
      if (state.direction !== 'do') return 'late'
      return replied < index ? 'duplicate' : 'unexpected'
    case 'undo':
      return state.direction === 'undo' && replied > index ? 'duplicate' : 'unexpected'
    case 'fence':
      return state.direction === 'undo' || index > replied ? 'duplicate' : 'unexpected'
    default:
      return unreachable(reply.direction)
  }
}

function onDone<Context>(saga: Saga<Context>, reply: Reply): Decision<Context> {
  const { definition, state, step, index, now } = saga
  switch (reply.outcome) {
    case 'ok':
      return forward(definition, fold(saga, reply), { index: index + 1, now, note: 'done' })
    case 'refused':
      if (step.kind === 'retriable') return needsHuman(saga, 'refused')
      return turn(
        saga,
        { kind: 'refused', step: step.name, reason: reply.reason ?? null },
        // The ledger proves that a step which was refused left nothing.
        { index: index - 1, note: 'refused' },
      )
    case 'failed':
      return step.kind === 'retriable' ? needsHuman(saga, 'failed') : ignore(state, 'failed')
    case 'fenced':
      return ignore(state, 'unexpected')
    default:
      return unreachable(reply.outcome)
  }
}

function onUndone<Context>(
  saga: Saga<Context>,
  cause: Cause | null,
  reply: Reply,
): Decision<Context> {
  const { definition, state, index, now } = saga
  if (cause === null) return ignore(state, 'unexpected')
  switch (reply.outcome) {
    case 'ok':
      return undoFrom(definition, fold(saga, reply), cause, {
        index: index - 1,
        now,
        note: 'undone',
      })
    case 'refused':
    case 'failed':
      return needsHuman(saga, reply.outcome)
    case 'fenced':
      return ignore(state, 'unexpected')
    default:
      return unreachable(reply.outcome)
  }
}

function onFenced<Context>(saga: Saga<Context>, cause: Cause, reply: Reply): Decision<Context> {
  const { definition, state, index, now } = saga
  switch (reply.outcome) {
    case 'ok':
      // It was done before it could be forbidden; the result is that of its do.
      return forward(definition, fold(saga, reply), { index: index + 1, now, note: 'done' })
    case 'refused':
    case 'fenced':
      return turn(saga, cause, { index: index - 1, note: 'refused' })
    case 'failed':
      return ignore(state, 'failed')
    default:
      return unreachable(reply.outcome)
  }
}

function fold<Context>({ state, step }: Saga<Context>, reply: Reply): Facts<Context> {
  const facts = factsAfter(state)
  // The answer to a fence is the answer that the do would have had.
  const action = state.direction === 'undo' && step.kind === 'compensatable' ? step.undo : step.do
  return action.fold ? { ...facts, context: action.fold(facts.context, reply.result) } : facts
}

/** R7, R10: a person has to look. Nothing is given up: the command is sent on, and its answer still counts. */
function needsHuman<Context>(saga: Saga<Context>, trouble: Trouble): Decision<Context> {
  const { state, step } = saga
  // It is one trouble, however often it is answered. A fence is only ever sent again: it harms nothing, and decides soon.
  if (state.status === 'needs_human' || state.status === 'fencing') return ignore(state, 'failed')
  const { direction, cause } = state
  const facts = factsAfter(state)
  const shown: Effect = { kind: 'needs-human', step: step.name, direction, trouble }
  // A refusal or failure is an answer: the next attempt has its usual time. Silence was noticed by the timer of one.
  const waiting = trouble === 'silent' ? nextAttempt(saga) : sameAttempt(saga)
  const sent = trouble === 'silent' ? [askAgain(saga, waiting.attempt)] : []
  return {
    state: { ...facts, ...waiting, status: 'needs_human', direction, trouble, cause },
    effects: [...sent, shown],
    note: 'needs-human',
  }
}

/** R4 to R7, R10: nobody has answered for as long as this attempt may take. */
function onDue<Context>(
  saga: Saga<Context>,
  { version, transport }: { readonly version: number; readonly transport: 'running' | 'paused' },
): Decision<Context> {
  const { state, step, index, now } = saga
  if (version !== state.version) return ignore(state, 'stale-timer')
  const deadlineAt = deadlineOf(step, state)
  if (deadlineAt !== null && now >= deadlineAt) {
    const cause: Cause = { kind: 'deadline', step: step.name }
    return step.kind === 'pivot'
      ? fence(saga, cause)
      : // Its outcome is unknown, so it is undone with the others.
        turn(saga, cause, { index, note: 'deadline' })
  }
  if (transport === 'paused') {
    // What is in the outbox has not left: another copy helps nobody, and silence means nothing.
    const postponed = { ...state, ...sameAttempt(saga), version: state.version + 1 }
    return { state: postponed, effects: [], note: 'postponed' }
  }
  const silentMs = state.silentMs + resendDelayMs(step.policy, state.attempt)
  const limitMs = silenceMaxMs(step, state)
  if (limitMs !== null && silentMs >= limitMs) return needsHuman(saga, 'silent')
  return resend(saga, silentMs)
}

/** R4, R12: the same command again. The outbox gives it a new message id, the ledger knows it by its key. */
function resend<Context>(saga: Saga<Context>, silentMs = saga.state.silentMs): Decision<Context> {
  const { state } = saga
  const waiting = nextAttempt(saga)
  return {
    state: { ...state, ...waiting, silentMs, version: state.version + 1 },
    effects: [askAgain(saga, waiting.attempt)],
    note: 'resent',
  }
}

/** R8. */
function onCancel<Context>(saga: Saga<Context>, reason: string | null): Decision<Context> {
  const { state, step, index } = saga
  const cause: Cause = { kind: 'cancel', step: step.name, reason }
  if (state.direction !== 'do') return ignore(state, 'already-cancelling')
  switch (step.kind) {
    case 'compensatable':
      return turn(saga, cause, { index, note: 'cancelled' })
    case 'pivot':
      return isRemote(step) ? fence(saga, cause) : ignore(state, 'too-late-to-cancel')
    case 'retriable':
      return ignore(state, 'too-late-to-cancel')
    default:
      return unreachable(step)
  }
}

/** R12: gives an undo up, for good and on record. */
function skip<Context>({ definition, state, index, now }: Saga<Context>): Decision<Context> {
  if (state.direction !== 'undo' || state.cause === null) return ignore(state, 'not-skippable')
  const facts = factsAfter(state)
  const skipped = [...facts.skipped, state.step]
  const move = { index: index - 1, now, note: 'skipped' } as const
  return undoFrom(definition, { ...facts, skipped }, state.cause, move)
}

function firstAttempt<Context>(
  step: Step<Context>,
  times: { readonly now: number; readonly deadlineAt: number | null },
) {
  return { step: step.name, attempt: 1, dueAt: dueAtOf(step, 1, times), silentMs: 0 }
}

function nextAttempt<Context>({ state, step, now }: Saga<Context>) {
  const attempt = state.attempt + 1
  const dueAt = dueAtOf(step, attempt, { now, deadlineAt: deadlineOf(step, state) })
  return { step: step.name, attempt, dueAt, silentMs: 0 }
}

function sameAttempt<Context>({ state, step, now }: Saga<Context>) {
  const { attempt, silentMs } = state
  const dueAt = dueAtOf(step, attempt, { now, deadlineAt: deadlineOf(step, state) })
  return { step: step.name, attempt, dueAt, silentMs }
}

function askAgain<Context>({ state, step }: Saga<Context>, attempt: number): Effect {
  return ask(step, state.direction, { attempt, context: state.context })
}
