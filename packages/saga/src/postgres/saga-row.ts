import { z } from 'zod'
import type { SagaState } from '../state.ts'
import { unreachable } from '../unreachable.ts'
import type { SagaRecord } from './saga-record.ts'

/** The columns of a saga, of `saga s`, with the time of the transaction. */
export const columns = `s.id, s.definition, s.definition_version, s.business_key, s.status, s.step, s.direction, s.attempt,
  s.due_at, s.silent_ms, s.trouble, s.cause, s.context, s.skipped, s.deadline_at, s.version, s.seq, s.started_at,
  s.step_at, s.changed_at, date_trunc('milliseconds', now()) as now`

const cause = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('refused'), step: z.string(), reason: z.string().nullable() }),
  z.object({ kind: z.literal('deadline'), step: z.string() }),
  z.object({ kind: z.literal('cancel'), step: z.string(), reason: z.string().nullable() }),
])

const facts = {
  id: z.string(),
  definition: z.string(),
  definition_version: z.int(),
  business_key: z.string(),
  context: z.unknown(),
  skipped: z.array(z.string()),
  deadline_at: z.date().nullable(),
  version: z.int(),
  seq: z.int(),
  started_at: z.date(),
  step_at: z.date(),
  changed_at: z.date(),
  now: z.date(),
}
const waiting = {
  ...facts,
  step: z.string(),
  attempt: z.int(),
  due_at: z.date(),
  silent_ms: z.int(),
}
const ended = {
  ...facts,
  step: z.null(),
  direction: z.null(),
  attempt: z.null(),
  due_at: z.null(),
  silent_ms: z.null(),
  trouble: z.null(),
}

/** A row of `saga`: the CHECK constraints and this service make it one of these six. */
export const sagaRow = z.discriminatedUnion('status', [
  z.object({
    ...waiting,
    status: z.literal('running'),
    direction: z.literal('do'),
    trouble: z.null(),
    cause: z.null(),
  }),
  z.object({
    ...waiting,
    status: z.literal('compensating'),
    direction: z.literal('undo'),
    trouble: z.null(),
    cause,
  }),
  z.object({
    ...waiting,
    status: z.literal('fencing'),
    direction: z.literal('fence'),
    trouble: z.null(),
    cause,
  }),
  z.object({
    ...waiting,
    status: z.literal('needs_human'),
    direction: z.enum(['do', 'undo']),
    trouble: z.enum(['refused', 'failed', 'silent']),
    cause: cause.nullable(),
  }),
  z.object({ ...ended, status: z.literal('completed'), cause: z.null() }),
  z.object({ ...ended, status: z.literal('compensated'), cause }),
])
export type SagaRow = z.infer<typeof sagaRow>

/** The saga that a row holds. */
export function toRecord(row: SagaRow): SagaRecord {
  return {
    id: row.id,
    definition: row.definition,
    definitionVersion: row.definition_version,
    businessKey: row.business_key,
    state: toState(row),
    seq: row.seq,
    startedAt: row.started_at,
    stepAt: row.step_at,
    changedAt: row.changed_at,
    now: row.now,
  }
}

function toState(row: SagaRow): SagaState<unknown> {
  const { context, version, skipped } = row
  const common = { context, version, skipped, deadlineAt: row.deadline_at?.getTime() ?? null }
  switch (row.status) {
    case 'running':
      return {
        ...common,
        ...waitOf(row),
        status: row.status,
        direction: row.direction,
        cause: null,
      }
    case 'compensating':
      return {
        ...common,
        ...waitOf(row),
        status: row.status,
        direction: row.direction,
        cause: row.cause,
      }
    case 'fencing':
      return {
        ...common,
        ...waitOf(row),
        status: row.status,
        direction: row.direction,
        cause: row.cause,
      }
    case 'needs_human': {
      const { status, direction, trouble } = row
      return { ...common, ...waitOf(row), status, direction, trouble, cause: row.cause }
    }
    case 'completed':
      return { ...common, status: row.status, cause: null }
    case 'compensated':
      return { ...common, status: row.status, cause: row.cause }
    default:
      return unreachable(row)
  }
}

function waitOf(row: Extract<SagaRow, { readonly step: string }>) {
  const { step, attempt } = row
  return { step, attempt, dueAt: row.due_at.getTime(), silentMs: row.silent_ms }
}
