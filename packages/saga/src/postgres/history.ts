import { statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { SagaInput } from '../state.ts'
import type { SagaLogEntry, SagaRecord } from './saga-record.ts'
import { columns, sagaRow, toRecord } from './saga-row.ts'

/** An entry of the log as people see it, with the reason that a person gave. */
export interface HistoryEntry extends Omit<SagaLogEntry, 'sagaId'> {
  readonly reason: string | null
}

const selectSaga = statement('saga_read', sagaRow, `select ${columns} from saga s where s.id = $1`)

// The newest entries, in their order: a saga that waits for a person is asked again once a minute, for days.
const selectHistory = statement(
  'saga_history',
  z.object({
    seq: z.int(),
    version: z.int(),
    at: z.date(),
    input: z.custom<SagaInput<unknown>>((input) => typeof input === 'object' && input !== null),
    note: z.custom<SagaLogEntry['note']>((note) => typeof note === 'string'),
    effects: z.custom<SagaLogEntry['effects']>((effects) => Array.isArray(effects)),
    actor: z.string(),
    traceparent: z.string().nullable(),
    reason: z.string().nullable(),
  }),
  `select * from (
     select l.seq, l.version, l.at, l.input, l.note, l.effects, l.actor, l.traceparent, i.reason
     from saga_log l left join saga_intervention i on i.saga_id = l.saga_id and i.seq = l.seq
     where l.saga_id = $1 order by l.seq desc limit $2
   ) newest order by seq`,
)

/** A saga with the newest entries of its log, the oldest of them first. Locks nothing. */
export async function readSaga(
  tx: Tx,
  id: string,
  entriesMax: number,
): Promise<{ saga: SagaRecord; log: HistoryEntry[] } | undefined> {
  const [[row], entries] = await Promise.all([
    tx.run(selectSaga, [id]),
    tx.run(selectHistory, [id, entriesMax]),
  ])
  if (row === undefined) return undefined
  return { saga: toRecord(row), log: entries }
}
