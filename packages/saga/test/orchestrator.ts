import { randomUUID } from 'node:crypto'
import { type Database, openDatabase } from '@edp/runtime'
import type { LocalOutcome, SagaInput } from '@edp/saga'
import {
  type AdvancedSaga,
  advanceSaga,
  createSagaRegistry,
  insertSagaLog,
  insertSagas,
  lockSagas,
  type RegisteredSaga,
  registerSaga,
  saga,
  sagaIntervention,
  sagaLog,
  type SagaRecord,
  type SagaRegistry,
  saveSagas,
  startSaga,
} from '@edp/saga/postgres'
import { patient, tablesSql, templateDatabase, type TestDatabase } from '@edp/testkit'
import { afterAll, beforeAll } from 'vitest'
import { z } from 'zod'
import { confirmed, trip, type Trip } from './trip.ts'

// What `readTransportAgeMs` looks at: the real table is the outbox package's, which this one does not import.
const outbox = `create table outbox (transport text, id bigint generated always as identity,
    created_at timestamptz not null default clock_timestamp(), primary key (transport, id));
  grant all on all tables in schema public to saga_test`

const context: z.ZodType<Trip> = z.object({ seats: z.int(), bookingId: z.string().exactOptional() })

export const tripSaga = registerSaga(trip, context)
export const confirmedSaga = registerSaga(confirmed, context)
export const registry = createSagaRegistry([tripSaga, confirmedSaga])

/** An orchestrator in small on a database of its own. */
export interface SmallOrchestrator {
  readonly database: Database
  readonly postgres: TestDatabase
  start(registered?: RegisteredSaga): Promise<string>
  /** Decides inputs to a saga, each in a transaction of its own. */
  decide(id: string, ...inputs: readonly SagaInput<Trip>[]): Promise<AdvancedSaga>
  read(id: string): Promise<SagaRecord>
}

/** Brings the orchestrator up before the tests of a file, and away after them. */
export function smallOrchestrator(local: () => LocalOutcome = () => ({ outcome: 'ok' })) {
  let postgres: TestDatabase
  let database: Database

  beforeAll(async () => {
    const tables = await tablesSql({ saga, sagaLog, sagaIntervention })
    postgres = await templateDatabase({
      role: 'saga_test',
      migrations: { sql: [...tables, outbox] },
    })
    database = openDatabase({
      url: postgres.url,
      applicationName: 'saga-test',
      poolMax: 6,
      ...patient,
    })
  })

  afterAll(async () => {
    await database.end()
    await postgres.drop()
  })

  const read = (id: string): Promise<SagaRecord> =>
    database.transaction(async (tx) => found(await lockSagas(tx, [id]), id))
  const one: SmallOrchestrator = {
    get database() {
      return database
    },
    get postgres() {
      return postgres
    },
    read,
    start: async (registered = tripSaga) => {
      const id = randomUUID()
      const now = new Date()
      const advanced = startSaga(registered, {
        id,
        businessKey: id,
        context: { seats: 2 },
        now,
        actor: 'customer',
        local,
      })
      await database.transaction(async (tx) => {
        insertSagas(tx, [advanced.saga])
        insertSagaLog(tx, advanced.log)
      })
      return id
    },
    decide: async (id, ...inputs) => {
      let last: AdvancedSaga | undefined
      for (const input of inputs) last = await decideOne(database, registry, { id, input, local })
      if (last === undefined) throw new Error('no input')
      return last
    },
  }
  return one
}

function decideOne(
  database: Database,
  known: SagaRegistry,
  { id, input, local }: { id: string; input: SagaInput<Trip>; local: () => LocalOutcome },
): Promise<AdvancedSaga> {
  return database.transaction(async (tx) => {
    const locked = found(await lockSagas(tx, [id]), id)
    const advanced = advanceSaga(known, locked, { input, actor: 'a-service', local })
    saveSagas(tx, [advanced.saga])
    insertSagaLog(tx, advanced.log)
    return advanced
  })
}

function found(sagas: ReadonlyMap<string, SagaRecord>, id: string): SagaRecord {
  const record = sagas.get(id)
  if (record === undefined) throw new Error(`there is no saga ${id}`)
  return record
}
