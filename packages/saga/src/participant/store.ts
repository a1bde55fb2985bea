import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { LedgerRow, StepKey } from '../ledger.ts'
import { formatStep, type StepCommand } from './step-names.ts'

const keyRow = z.object({
  saga_id: z.string(),
  step: z.string(),
  direction: z.enum(['do', 'undo']),
})
const ledgerRow = keyRow.extend({
  outcome: z.enum(['started', 'ok', 'refused', 'tombstone']),
  reply: z.unknown(),
})

const insertClaims = statement(
  'step_ledger_claim',
  keyRow,
  `insert into step_ledger (saga_id, step, direction, outcome)
   select saga_id, step, 'do', outcome
   from unnest($1::uuid[], $2::text[], $3::text[]) as c (saga_id, step, outcome)
   order by saga_id, step
   on conflict do nothing
   returning saga_id, step, direction`,
)

const namedRows = `select l.saga_id, l.step, l.direction, l.outcome, l.reply
   from unnest($1::uuid[], $2::text[], $3::text[]) as k (saga_id, step, direction)
   join step_ledger l
     on l.saga_id = k.saga_id and l.step = k.step and l.direction = k.direction`

// A statement of its own after the insert: only a later snapshot sees what the insert waited for.
const readRows = statement('step_ledger_read', ledgerRow, namedRows)

const lockRows = statement(
  'step_ledger_lock',
  ledgerRow,
  `${namedRows}
   order by l.saga_id, l.step, l.direction
   for update of l`,
)

// JSON comes as lines, which it cannot contain itself: cheaper than an array with every quote escaped.
const saveRows = statement(
  'step_ledger_save',
  noRow,
  `insert into step_ledger (saga_id, step, direction, outcome, reply)
   select saga_id, step, direction, outcome, reply
   from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], string_to_array($5, E'\\n')::json[])
     as s (saga_id, step, direction, outcome, reply)
   order by saga_id, step, direction
   on conflict (saga_id, step, direction)
     do update set outcome = excluded.outcome, reply = excluded.reply`,
)

/**
 * Claims steps for the transaction: afterwards no other transaction acts on them until this one ends. Call it before any
 * business table is read. Gives the row of every step named, for an undo also the row of its do, and for a fence the
 * row of the do alone; the row of an undo is there only when it was recorded before. A fresh row must be settled by `saveSteps` in the same transaction.
 *
 * Its locks are sent before it waits for anything, so what a caller sends next without waiting runs behind them in the same
 * round trip. A second round trip is made only for a do that came again, or a fence that came too late.
 */
export async function claimSteps(
  tx: Tx,
  keys: readonly StepCommand[],
): Promise<Map<string, LedgerRow>> {
  const rows = new Map<string, LedgerRow>()
  if (keys.length === 0) return rows
  const claims = claimsOf(keys)
  const undos = keys.filter(isUndo)
  const undoneDos = undos.map(asDo)
  const [inserted, dosOfUndos, undosRecorded] = await Promise.all([
    tx.run(insertClaims, [
      claims.map((claim) => claim.sagaId),
      claims.map((claim) => claim.step),
      claims.map((claim) => (claim.direction === 'do' ? 'started' : 'tombstone')),
    ]),
    // The undo rows are read after the do rows are locked: two undo attempts would otherwise both find none.
    undos.length > 0 ? tx.run(lockRows, columnsOf(undoneDos)) : [],
    undos.length > 0 ? tx.run(readRows, columnsOf(undos)) : [],
  ])
  addRows(rows, dosOfUndos)
  addRows(rows, undosRecorded)
  for (const row of inserted) {
    const key = { sagaId: row.saga_id, step: row.step, direction: row.direction }
    rows.set(formatStep(key), { ...key, fresh: true, outcome: 'started', reply: null })
  }
  // No lock: a do that came again, or a fence that came too late, changes nothing. It repeats what the committed row says.
  const repeated = keys
    .filter((key) => key.direction !== 'undo')
    .map(asDo)
    .filter((key) => !rows.has(formatStep(key)))
  if (repeated.length > 0) addRows(rows, await tx.run(readRows, columnsOf(repeated)))
  return rows
}

/**
 * Locks the rows of steps that were claimed by an earlier transaction, for one that ends what that one began. Like
 * `claimSteps` it goes before any business table, and its lock is sent before it waits.
 */
export async function lockSteps(tx: Tx, keys: readonly StepKey[]): Promise<Map<string, LedgerRow>> {
  const rows = new Map<string, LedgerRow>()
  if (keys.length > 0) addRows(rows, await tx.run(lockRows, columnsOf(keys)))
  return rows
}

/** Writes the rows that decisions settled, in one statement, whose answer the commit awaits. */
export async function saveSteps(tx: Tx, rows: readonly LedgerRow[]): Promise<void> {
  if (rows.length === 0) return
  void tx.execute(saveRows, [
    ...columnsOf(rows),
    rows.map((row) => row.outcome),
    rows.map((row) => JSON.stringify(row.reply)).join('\n'),
  ])
}

// One claim for each (saga, step): of a do and an undo or a fence in one batch the do decides how the row starts.
function claimsOf(keys: readonly StepCommand[]): StepCommand[] {
  const claims = new Map<string, StepCommand>()
  for (const key of keys) {
    const name = formatStep(asDo(key))
    if (key.direction === 'do' || !claims.has(name)) claims.set(name, key)
  }
  return [...claims.values()]
}

function asDo({ sagaId, step }: StepCommand): StepKey {
  return { sagaId, step, direction: 'do' }
}

function isUndo(key: StepCommand): key is StepKey {
  return key.direction === 'undo'
}

function columnsOf(keys: readonly StepKey[]): string[][] {
  return [
    keys.map((key) => key.sagaId),
    keys.map((key) => key.step),
    keys.map((key) => key.direction),
  ]
}

function addRows(rows: Map<string, LedgerRow>, found: readonly z.infer<typeof ledgerRow>[]): void {
  for (const row of found) {
    const key = { sagaId: row.saga_id, step: row.step, direction: row.direction }
    rows.set(formatStep(key), { ...key, fresh: false, outcome: row.outcome, reply: row.reply })
  }
}
