import type { Advance, DecidedInput, LocalOutcome } from '../advance.ts'
import type { Effect, LocalEffect, Note, SagaInput, SagaState } from '../state.ts'
import type { RegisteredSaga, SagaRegistry } from './registry.ts'
import type { LoggedEffect, NewLogEntry, SagaRecord } from './saga-record.ts'

/** An input to a saga, with whose it is. */
export interface SagaTurn {
  readonly input: SagaInput<unknown>
  /** Whose input it is: a service, `timer`, `customer`, `operator:ada`. */
  readonly actor: string
  readonly traceparent?: string | undefined
  /** Runs a local action on the rows that the transaction has loaded and locked. */
  readonly local: (effect: LocalEffect) => LocalOutcome
}

/** What an input made of a saga: to be saved and sent in the transaction that holds its lock. */
export interface AdvancedSaga {
  readonly saga: SagaRecord
  readonly log: readonly NewLogEntry[]
  readonly effects: readonly Exclude<Effect, LocalEffect>[]
  /** Of the input itself, not of the local actions that it led to. */
  readonly note: Note
  /** False: the input was ignored, and only its note is new. */
  readonly changed: boolean
}

/** A new saga, under a version that the caller chooses. */
export function startSaga(
  registered: RegisteredSaga,
  options: Omit<SagaTurn, 'input'> & {
    readonly id: string
    readonly businessKey: string
    readonly context: unknown
    readonly deadlineAt?: Date
    /** By the database's clock. */
    readonly now: Date
  },
): AdvancedSaga {
  const { id, businessKey, context, deadlineAt, now } = options
  const input: SagaInput<unknown> = {
    kind: 'start',
    context,
    ...(deadlineAt && { deadlineAt: deadlineAt.getTime() }),
  }
  const turn = { ...options, input }
  const advanced = registered.advance({
    state: undefined,
    input,
    now: now.getTime(),
    local: options.local,
  })
  const blank = { id, businessKey, seq: 0, startedAt: now, stepAt: now, changedAt: now, now }
  const { definition, version: definitionVersion } = registered
  return assemble({ ...blank, definition, definitionVersion }, advanced, turn)
}

/**
 * Decides an input to a saga that the transaction has locked, and runs the local actions that it leads to. Pure.
 * @throws AppError `saga-version-unknown` when this process does not know its version
 */
export function advanceSaga(
  registry: SagaRegistry,
  saga: SagaRecord,
  turn: SagaTurn,
): AdvancedSaga {
  const { input, local } = turn
  const now = saga.now.getTime()
  return assemble(saga, registry.of(saga).advance({ state: saga.state, input, now, local }), turn)
}

type Before = Omit<SagaRecord, 'state'> & { readonly state?: SagaState<unknown> }

function assemble(
  before: Before,
  { state, decisions, effects }: Advance<unknown>,
  turn: Omit<SagaTurn, 'local'>,
): AdvancedSaga {
  if (state === undefined) throw new Error(`${before.id} has no state after ${turn.input.kind}`)
  const changed = state.version !== before.state?.version
  const log: NewLogEntry[] = []
  let { state: from, stepAt } = before
  for (const decision of decisions) {
    // What a local action answered came from nobody outside.
    const actor = log.length === 0 ? turn.actor : 'local'
    const at = { ...before, stepAt, seq: before.seq + log.length }
    log.push(entryOf(at, from, decision, { ...turn, actor }))
    if (placeOf(decision.state) !== placeOf(from)) stepAt = before.now
    from = decision.state
  }
  const saga: SagaRecord = {
    ...before,
    state,
    stepAt,
    seq: before.seq + log.length,
    ...(changed && { changedAt: before.now }),
  }
  return { saga, log, effects, note: log[0]?.note ?? 'unknown-saga', changed }
}

function entryOf(
  { id, definition, seq, stepAt, now }: Omit<Before, 'state'>,
  from: SagaState<unknown> | undefined,
  decision: DecidedInput<unknown>,
  { actor, traceparent }: Pick<SagaTurn, 'actor' | 'traceparent'>,
): NewLogEntry {
  const waited = from !== undefined && 'step' in from ? from : undefined
  const left = waited !== undefined && placeOf(waited) !== placeOf(decision.state)
  const seconds = Math.max(0, (now.getTime() - stepAt.getTime()) / 1000)
  return {
    sagaId: id,
    seq: seq + 1,
    version: decision.state?.version ?? 0,
    at: now,
    input: decision.input,
    note: decision.note,
    effects: decision.effects.map(logged),
    actor,
    traceparent: traceparent ?? null,
    definition,
    step: waited?.step ?? null,
    left: left ? { step: waited.step, direction: waited.direction, seconds } : null,
  }
}

/** An effect as the log keeps it. */
export function logged(effect: Effect): LoggedEffect {
  if (effect.kind !== 'command') return effect
  const { kind, step, direction, attempt, command } = effect
  return { kind, step, direction, attempt, command }
}

/** Where a saga is, as one string: it changes when a step begins or ends. */
function placeOf(state: SagaState<unknown> | undefined): string {
  if (state === undefined) return ''
  return 'step' in state ? `${state.step}/${state.direction}` : state.status
}
