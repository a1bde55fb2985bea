import { orderId as sagaId } from '@edp/event-schemas'
import type { SagaState } from '@edp/saga'
import type { HistoryEntry, RegisteredSaga, SagaRecord } from '@edp/saga/postgres'
import { z } from 'zod'
import { limit, printableText } from './api.ts'

/** What operators send and see of sagas: the schemas of `http.ts`. */

const instant = z.iso.datetime()
const status = z.enum([
  'running',
  'compensating',
  'fencing',
  'needs_human',
  'completed',
  'compensated',
])
const direction = z.enum(['do', 'undo', 'fence'])

/** What `GET /sagas` filters by. The newest come first; a cursor is the last saga of a page. */
export const sagasQuery = z.strictObject({
  status: status.optional(),
  step: printableText(64).optional(),
  // Postgres' calendar has no year 0, which ISO's has.
  olderThan: instant
    .refine((at) => Date.parse(at) >= 0, 'must not be before 1970')
    .optional()
    .describe('only those that were started before'),
  cursor: sagaId.toLowerCase().optional(),
  limit,
})
export type SagasQuery = z.infer<typeof sagasQuery>

/** The headers of an operation. Others are let pass: browsers and proxies add them. */
export const operationHeaders = z.looseObject({
  'if-match': z
    .string()
    .regex(/^"[1-9]\d{0,8}"$/, 'expected the ETag of the saga, such as "3"')
    .optional(),
})

/** Who does it, and why: both are kept for good. */
export const operationBody = z.strictObject({
  actor: printableText(100),
  reason: printableText(500),
})

/** A saga as operators see it. */
export const sagaView = z.strictObject({
  sagaId: z.string(),
  definition: z.string(),
  definitionVersion: z.int(),
  businessKey: z.string(),
  status,
  step: z.string().nullable(),
  direction: direction.nullable(),
  attempt: z.int().nullable(),
  dueAt: instant.nullable(),
  trouble: z.enum(['refused', 'failed', 'silent']).nullable(),
  cause: z.record(z.string(), z.unknown()).nullable(),
  skipped: z.array(z.string()),
  deadlineAt: instant.nullable(),
  version: z.int(),
  startedAt: instant,
  changedAt: instant,
  endedAt: instant.nullable(),
})
export type SagaView = z.infer<typeof sagaView>

export const sagasPage = z.strictObject({
  sagas: z.array(sagaView),
  nextCursor: z.string().nullable(),
})
export type SagasPage = z.infer<typeof sagasPage>

/** A saga with what it has done and what it will do. */
export const sagaDetail = sagaView.extend({
  remainingSteps: z
    .array(z.strictObject({ step: z.string(), direction, underWay: z.boolean() }))
    .nullable()
    .describe('null when this process does not know the version'),
  diagram: z.string().nullable().describe('Mermaid'),
  log: z.array(
    z.strictObject({
      seq: z.int(),
      version: z.int(),
      at: instant,
      input: z.record(z.string(), z.unknown()),
      note: z.string(),
      effects: z.array(z.record(z.string(), z.unknown())),
      actor: z.string(),
      reason: z.string().nullable().describe('why an operator did it'),
      traceparent: z.string().nullable(),
    }),
  ),
})
export type SagaDetail = z.infer<typeof sagaDetail>

/** Shows a saga. Its context is not shown: it holds the payment token. */
export function viewSaga(saga: SagaRecord): SagaView {
  const { state } = saga
  const changedAt = saga.changedAt.toISOString()
  return {
    sagaId: saga.id,
    definition: saga.definition,
    definitionVersion: saga.definitionVersion,
    businessKey: saga.businessKey,
    status: state.status,
    ...viewWaiting(state),
    trouble: state.status === 'needs_human' ? state.trouble : null,
    cause: state.cause && { ...state.cause },
    skipped: [...state.skipped],
    deadlineAt: isoOf(state.deadlineAt),
    version: state.version,
    startedAt: saga.startedAt.toISOString(),
    changedAt,
    // Nothing changes an ended saga any more.
    endedAt: 'step' in state ? null : changedAt,
  }
}

function viewWaiting(
  state: SagaState<unknown>,
): Pick<SagaView, 'step' | 'direction' | 'attempt' | 'dueAt'> {
  if (!('step' in state)) return { step: null, direction: null, attempt: null, dueAt: null }
  const { step, direction: way, attempt, dueAt } = state
  return { step, direction: way, attempt, dueAt: isoOf(dueAt) }
}

/** Shows a saga with its log and, when this process knows its version, what comes next. */
export function viewSagaDetail(
  saga: SagaRecord,
  log: readonly HistoryEntry[],
  registered: RegisteredSaga | undefined,
): SagaDetail {
  return {
    ...viewSaga(saga),
    remainingSteps: registered?.remainingSteps(saga.state) ?? null,
    diagram: registered?.diagram ?? null,
    log: log.map(({ seq, version, at, input, note, effects, actor, reason, traceparent }) => ({
      seq,
      version,
      at: at.toISOString(),
      input: input.kind === 'start' ? { kind: input.kind } : { ...input },
      note,
      effects: effects.map((effect) => ({ ...effect })),
      actor,
      reason,
      traceparent,
    })),
  }
}

function isoOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}
