import { isDeepStrictEqual } from 'node:util'
import { type Database, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { SagaInput, SagaState } from '../state.ts'
import { logged } from './advance-saga.ts'
import { nameOf, type SagaRegistry } from './registry.ts'
import type { SagaLogEntry, SagaRecord } from './saga-record.ts'
import { columns, sagaRow, toRecord } from './saga-row.ts'

/** What of a log entry says how it was decided. */
export type DecidedEntry = Pick<
  SagaLogEntry,
  'seq' | 'version' | 'at' | 'input' | 'note' | 'effects'
>

/**
 * The refinement check: decides the whole log of a saga again, with the pure machine, and compares every note, effect and version,
 * and at the end the state of the row. What it gives back is what does not agree; nothing when all does.
 */
export function replay(
  registry: Pick<SagaRegistry, 'find'>,
  saga: SagaRecord,
  log: readonly DecidedEntry[],
): string[] {
  const registered = registry.find(saga.definition, saga.definitionVersion)
  if (!registered) return [`${nameOf(saga.definition, saga.definitionVersion)} is not registered`]
  const problems: string[] = []
  let state: SagaState<unknown> | undefined
  for (const [index, entry] of log.entries()) {
    if (entry.seq !== index + 1) problems.push(`entry ${index + 1} has the number ${entry.seq}`)
    const decision = registered.decide(state, entry.input, entry.at.getTime())
    state = decision.state
    const decided = {
      note: decision.note,
      effects: decision.effects.map(logged),
      version: state?.version ?? 0,
    }
    const { note, effects, version } = entry
    problems.push(...difference(`entry ${entry.seq}`, decided, { note, effects, version }))
  }
  if (saga.seq !== log.length) {
    problems.push(`the row counts ${saga.seq} entries, the log has ${log.length}`)
  }
  return [...problems, ...difference('the state', state, saga.state)]
}

function difference(what: string, decided: unknown, stored: unknown): string[] {
  const [one, two] = [asJson(decided), asJson(stored)]
  if (isDeepStrictEqual(one, two)) return []
  return [`${what} is ${JSON.stringify(two)}, decided again ${JSON.stringify(one)}`]
}

// Stored and decided alike go through JSON, where a field that is undefined is none.
function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null))
}

const selectPage = statement(
  'saga_replay_page',
  sagaRow,
  // Shared locks, so that row and log are of one moment also while sagas go on.
  `select ${columns} from saga s where s.id > $1::uuid order by s.id limit $2 for share of s`,
)

const selectLog = statement(
  'saga_replay_log',
  z.object({
    saga_id: z.string(),
    seq: z.int(),
    version: z.int(),
    at: z.date(),
    input: z.custom<SagaInput<unknown>>(isObject),
    note: z.custom<SagaLogEntry['note']>((note) => typeof note === 'string'),
    effects: z.custom<SagaLogEntry['effects']>((effects) => Array.isArray(effects)),
  }),
  `select l.saga_id, l.seq, l.version, l.at, l.input, l.note, l.effects
   from unnest($1::uuid[]) as k (id) join saga_log l on l.saga_id = k.id
   order by l.saga_id, l.seq`,
)

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** The logs of sagas, in order. */
export async function readSagaLogs(
  tx: Tx,
  ids: readonly string[],
): Promise<Map<string, DecidedEntry[]>> {
  const logs = new Map<string, DecidedEntry[]>(ids.map((id) => [id, []]))
  for (const { saga_id: id, ...entry } of await tx.run(selectLog, [ids])) logs.get(id)?.push(entry)
  return logs
}

const pageMax = 200
const beforeAll = '00000000-0000-0000-0000-000000000000'

/** Replays every saga of a database: how many there are, and what does not agree. */
export async function replayAll(
  database: Pick<Database, 'transaction'>,
  registry: Pick<SagaRegistry, 'find'>,
): Promise<{ sagas: number; problems: string[] }> {
  const problems: string[] = []
  let sagas = 0
  for (let after: string | undefined = beforeAll; after !== undefined; ) {
    const from: string = after
    after = await database.transaction(async (tx) => {
      const page = (await tx.run(selectPage, [from, pageMax])).map(toRecord)
      const logs = await readSagaLogs(
        tx,
        page.map((saga) => saga.id),
      )
      for (const saga of page) {
        const found = replay(registry, saga, logs.get(saga.id) ?? [])
        problems.push(...found.map((problem) => `${saga.id}: ${problem}`))
      }
      sagas += page.length
      return page.length === pageMax ? page.at(-1)?.id : undefined
    })
  }
  return { sagas, problems }
}
