import type { Database } from '@edp/runtime'
import type { SagaInput } from '@edp/saga'
import { insertIntervention, isIgnoredNote, lockSagas, type SagaRecord } from '@edp/saga/postgres'
import { lockOrders, readLines } from './db/orders.ts'
import { orchestrate } from './orchestrate.ts'
import type { OrderSagas } from './sagas.ts'
import { countOrchestrated, type OwnDecision, saveOrchestrated } from './save-orchestrated.ts'
import { happened } from './timeline.ts'

/** What an operator wants of a saga, having seen it in a certain version. */
export interface Operation {
  readonly sagaId: string
  readonly verb: 'retry' | 'skip' | 'cancel'
  /** What the operator has seen: two clicks do one thing. */
  readonly version: number
  readonly actor: string
  readonly reason: string
  readonly traceparent: string
}

/** What became of it. */
export type OperationOutcome =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'stale'; readonly version: number }
  /** The saga is where this cannot be done; `note` says why. */
  | { readonly kind: 'not-possible'; readonly note: string }
  | { readonly kind: 'done'; readonly saga: SagaRecord }

export interface OperateSagaOptions {
  readonly database: Database
  readonly namespace: string
  readonly sagas: OrderSagas
}

/** Does what an operator wants, through the same machine as everything else. What is refused leaves no trace. */
export async function operateSaga(
  { database, namespace, sagas }: OperateSagaOptions,
  operation: Operation,
): Promise<OperationOutcome> {
  const { sagaId, verb, version, actor, reason, traceparent } = operation
  const done: OwnDecision[] = []
  const outcome = await database.transaction(async (tx): Promise<OperationOutcome> => {
    const [found, orders, lines] = await Promise.all([
      lockSagas(tx, [sagaId]),
      lockOrders(tx, [sagaId]),
      readLines(tx, [sagaId]),
    ])
    const saga = found.get(sagaId)
    const order = orders.get(sagaId)
    if (saga === undefined || order === undefined) return { kind: 'not-found' }
    if (saga.state.version !== version) return { kind: 'stale', version: saga.state.version }
    const decided = orchestrate(
      sagas.registry,
      { saga, order, lines: lines.get(sagaId) ?? [] },
      { input: inputOf(operation), actor: `operator:${actor}`, traceparent },
    )
    if (isIgnoredNote(decided.note)) return { kind: 'not-possible', note: decided.note }
    const { now, seq } = saga
    const noted = happened(sagaId, `operator.${verb}`, now, { actor, reason })
    const decision = { ...decided, traceparent, happened: [noted] }
    saveOrchestrated(tx, [decision], { namespace, now })
    insertIntervention(tx, { sagaId, seq: seq + 1, verb, actor, reason, at: now })
    done.push(decision)
    return { kind: 'done', saga: decided.saga }
  })
  countOrchestrated(done)
  return outcome
}

function inputOf({ verb, reason }: Operation): SagaInput<unknown> {
  return verb === 'cancel' ? { kind: 'cancel', reason } : { kind: 'operator', verb }
}
