import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { SagaIntervention, SagaLogEntry, SagaRecord } from './saga-record.ts'
import { columns, sagaRow, toRecord } from './saga-row.ts'

const lockRows = statement(
  'saga_lock',
  sagaRow,
  `select ${columns}
   from unnest($1::uuid[]) as k (id) join saga s on s.id = k.id
   order by s.id
   for update of s`,
)

// The versions are one text each and a plain filter, so that no plan can be made of them but the index on due_at. The silent ones
// are counted once, and only when a row comes that depends on it.
const lockDueRows = statement(
  'saga_lock_due',
  sagaRow,
  `select ${columns} from saga s
   where s.due_at <= now() and s.definition || '@' || s.definition_version = any($2::text[])
     and (s.status <> 'running' or s.deadline_at <= now() or s.due_at <= now() - $3 * interval '1 millisecond'
       or $5 > (select count(*) from (
         select 1 from saga r
         where r.status = 'running' and r.ended_at is null and r.step_at <= now() - $4 * interval '1 millisecond'
         limit $5) as silent))
   order by s.due_at
   limit $1
   for update of s skip locked`,
)

const insertRows = statement(
  'saga_insert',
  noRow,
  `insert into saga (id, definition, definition_version, business_key, status, step, direction, attempt, due_at,
     silent_ms, trouble, cause, context, skipped, deadline_at, version, seq, started_at, step_at, changed_at, ended_at)
   select id, definition, definition_version, business_key, status, step, direction, attempt, due_at,
     silent_ms, trouble, nullif(cause, 'null')::json, context::json, skipped::json, deadline_at, version, seq,
     now, now, now, case when status in ('completed', 'compensated') then now end
   from unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
     $9::timestamptz[], $10::bigint[], $11::text[], string_to_array($12, E'\\n'), string_to_array($13, E'\\n'),
     string_to_array($14, E'\\n'), $15::timestamptz[], $16::integer[], $17::integer[], $18::timestamptz[])
     as n (id, definition, definition_version, business_key, status, step, direction, attempt, due_at,
       silent_ms, trouble, cause, context, skipped, deadline_at, version, seq, now)`,
)

// A saga that has ended gets a status that the CHECK constraint refuses, so that no bug can ever take one back; its log may grow.
const updateRows = statement(
  'saga_update',
  noRow,
  `update saga s
   set status = case when s.ended_at is null or s.status = c.status then c.status else 'ended before' end,
     step = c.step, direction = c.direction, attempt = c.attempt, due_at = c.due_at, silent_ms = c.silent_ms,
     trouble = c.trouble, cause = nullif(c.cause, 'null')::json, context = c.context::json,
     skipped = c.skipped::json, version = c.version, seq = c.seq, step_at = c.step_at, changed_at = c.changed_at,
     ended_at = case when c.status in ('completed', 'compensated') then coalesce(s.ended_at, c.changed_at) end
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::timestamptz[], $7::bigint[],
     $8::text[], string_to_array($9, E'\\n'), string_to_array($10, E'\\n'), string_to_array($11, E'\\n'),
     $12::integer[], $13::integer[], $14::timestamptz[], $15::timestamptz[])
     as c (id, status, step, direction, attempt, due_at, silent_ms, trouble, cause, context, skipped,
       version, seq, step_at, changed_at)
   where s.id = c.id`,
)

const insertLogRows = statement(
  'saga_log_insert',
  noRow,
  `insert into saga_log (saga_id, seq, version, at, input, note, effects, actor, traceparent)
   select saga_id, seq, version, at, input, note, effects, actor, traceparent
   from unnest($1::uuid[], $2::integer[], $3::integer[], $4::timestamptz[], string_to_array($5, E'\\n')::json[],
     $6::text[], string_to_array($7, E'\\n')::json[], $8::text[], $9::text[])
     as n (saga_id, seq, version, at, input, note, effects, actor, traceparent)`,
)

const insertInterventionRow = statement(
  'saga_intervention_insert',
  noRow,
  `insert into saga_intervention (saga_id, seq, verb, actor, reason, at) values ($1, $2, $3, $4, $5, $6)`,
)

const selectStuckAge = statement(
  'saga_transport_age',
  z.object({ seconds: z.number() }),
  `select extract(epoch from clock_timestamp() - o.created_at)::float8 as seconds
   from outbox o where o.transport = $1 order by o.transport, o.id limit 1`,
)

/** Locks sagas in the order of their ids; those that do not exist are left out. */
export async function lockSagas(tx: Tx, ids: readonly string[]): Promise<Map<string, SagaRecord>> {
  if (ids.length === 0) return new Map()
  const rows = await tx.run(lockRows, [ids])
  return new Map(rows.map((row) => [row.id, toRecord(row)]))
}

/** When sagas that nobody answers are a backlog. */
export interface Backlog {
  /** Running sagas whose step has been without an answer for `silentMs`: with so many, nobody has lost a message. */
  readonly sagasMin: number
  readonly silentMs: number
  /** How long one that is due is left alone then. */
  readonly heldMs: number
}

/**
 * Locks sagas whose timer is due by the database's clock, the longest overdue first, passing over locked ones. While there is a
 * backlog, a participant is away or busy and the commands wait before it: another copy of each would come last and be handled for
 * nothing, so only what undoes, or is at its deadline, is taken, and of the others what has been due for long.
 * @param versions those that this process can run, as `definition@version`
 */
export async function lockDueSagas(
  tx: Tx,
  limit: number,
  versions: readonly string[],
  { sagasMin, silentMs, heldMs }: Backlog,
): Promise<SagaRecord[]> {
  const rows = await tx.run(lockDueRows, [limit, versions, heldMs, silentMs, sagasMin])
  return rows.map(toRecord)
}

/** Inserts new sagas. Like every write here it is not awaited: the commit awaits it, so that all go out in one round trip. */
export function insertSagas(tx: Tx, sagas: readonly SagaRecord[]): void {
  if (sagas.length === 0) return
  void tx.execute(insertRows, [
    sagas.map((saga) => saga.id),
    sagas.map((saga) => saga.definition),
    sagas.map((saga) => saga.definitionVersion),
    sagas.map((saga) => saga.businessKey),
    ...stateColumns(sagas),
    sagas.map(({ state: { deadlineAt } }) => deadlineAt && new Date(deadlineAt).toISOString()),
    sagas.map((saga) => saga.state.version),
    sagas.map((saga) => saga.seq),
    sagas.map((saga) => saga.now.toISOString()),
  ])
}

/** Writes sagas that the transaction has locked. Fails the transaction when one of them had ended otherwise before. */
export function saveSagas(tx: Tx, sagas: readonly SagaRecord[]): void {
  if (sagas.length === 0) return
  void tx.execute(updateRows, [
    sagas.map((saga) => saga.id),
    ...stateColumns(sagas),
    sagas.map((saga) => saga.state.version),
    sagas.map((saga) => saga.seq),
    sagas.map((saga) => saga.stepAt.toISOString()),
    sagas.map((saga) => saga.changedAt.toISOString()),
  ])
}

/** Adds to the logs of sagas. */
export function insertSagaLog(tx: Tx, entries: readonly SagaLogEntry[]): void {
  if (entries.length === 0) return
  void tx.execute(insertLogRows, [
    entries.map((entry) => entry.sagaId),
    entries.map((entry) => entry.seq),
    entries.map((entry) => entry.version),
    entries.map((entry) => entry.at.toISOString()),
    lines(entries.map((entry) => entry.input)),
    entries.map((entry) => entry.note),
    lines(entries.map((entry) => entry.effects)),
    entries.map((entry) => entry.actor),
    entries.map((entry) => entry.traceparent),
  ])
}

/** Records what a person did. */
export function insertIntervention(tx: Tx, one: SagaIntervention): void {
  const { sagaId, seq, verb, actor, reason, at } = one
  void tx.execute(insertInterventionRow, [sagaId, seq, verb, actor, reason, at.toISOString()])
}

/**
 * How long the oldest message to a transport has been waiting in this database's outbox, in milliseconds; 0 when none
 * waits. While it is long, commands do not leave, and that nobody answers them means nothing.
 */
export async function readTransportAgeMs(tx: Tx, transport: string): Promise<number> {
  const [oldest] = await tx.run(selectStuckAge, [transport])
  return oldest ? Math.max(0, oldest.seconds * 1000) : 0
}

function stateColumns(sagas: readonly SagaRecord[]): unknown[] {
  const states = sagas.map(({ state }) => state)
  return [
    states.map((state) => state.status),
    states.map((state) => ('step' in state ? state.step : null)),
    states.map((state) => ('step' in state ? state.direction : null)),
    states.map((state) => ('step' in state ? state.attempt : null)),
    states.map((state) => ('step' in state ? new Date(state.dueAt).toISOString() : null)),
    states.map((state) => ('step' in state ? state.silentMs : null)),
    states.map((state) => ('trouble' in state ? state.trouble : null)),
    lines(states.map((state) => state.cause)),
    lines(states.map((state) => state.context)),
    lines(states.map((state) => state.skipped)),
  ]
}

// JSON comes as lines, which it cannot contain itself: cheaper than an array with every quote escaped.
function lines(values: readonly unknown[]): string {
  return values.map((value) => JSON.stringify(value)).join('\n')
}
