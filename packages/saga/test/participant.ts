import { randomUUID } from 'node:crypto'
import {
  type Database,
  noRow,
  openDatabase,
  type Statement,
  type Tx,
  unreachable,
} from '@edp/runtime'
import {
  claimSteps,
  type DoVerdict,
  type FenceVerdict,
  formatStep,
  judgeDo,
  judgeFence,
  judgeUndo,
  type LedgerRow,
  saveSteps,
  settle,
  type StepCommand,
  type StepKey,
  stepLedger,
  type UndoVerdict,
} from '@edp/saga/participant'
import { patient, tablesSql, templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach } from 'vitest'

type Way = StepCommand['direction']

/** A participant in small on a database of its own: one step, one saga for each test. */
export interface Participant {
  readonly database: Database
  readonly postgres: TestDatabase
  /** The step of this test's saga. */
  readonly stepOf: (direction: StepKey['direction']) => StepKey
  /** Handles commands in one transaction, as one batch, and gives back what each came to. */
  readonly run: (...ways: Way[]) => Promise<string[]>
  /** Answers an undo with a failure: nothing of it is stored. */
  readonly failToUndo: () => Promise<void>
  /** What has happened of the business effect, in the order of the alphabet. */
  readonly effectsSeen: () => Promise<string[]>
  /** Two transactions: the second one begins, waits for the first, and goes on when that has ended. */
  readonly race: (first: Way, second: Way, ending: 'commit' | 'rollback') => Promise<Raced>
}

interface Raced {
  readonly first: string[]
  readonly second: string[]
}

// The business effect is a row of `effect`: nothing but the ledger keeps it from being written twice, or undone twice.
const effects = `create table effect (saga_id uuid not null, what text not null);
  grant all on all tables in schema public to saga_test`

/** Brings the participant up before the tests of a file, and away after them. */
export function participant(): Participant {
  let postgres: TestDatabase
  let database: Database
  let sagaId: string

  beforeAll(async () => {
    postgres = await templateDatabase({
      role: 'saga_test',
      migrations: { sql: [...(await tablesSql({ stepLedger })), effects] },
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

  beforeEach(() => {
    sagaId = randomUUID()
  })

  const run = (...ways: Way[]) => database.transaction((tx) => handle(tx, sagaId, ways))
  return {
    get database() {
      return database
    },
    get postgres() {
      return postgres
    },
    stepOf: (direction) => ({ sagaId, step: 'reserve', direction }),
    run,
    failToUndo: () =>
      database.transaction(async (tx) => {
        const key = { sagaId, step: 'reserve', direction: 'undo' } as const
        const rows = await claimSteps(tx, [key])
        const verdict = judgeUndo(doRowOf(rows, sagaId), rows.get(formatStep(key)))
        if (verdict.kind !== 'act') throw new Error(`there is nothing to fail at: ${verdict.kind}`)
      }),
    effectsSeen: async () => {
      const rows = await postgres.query('select what from effect where saga_id = $1', [sagaId])
      return rows.map((row) => String(row['what'])).toSorted()
    },
    race: async (first, second, ending) => {
      const holder = await held(database, sagaId, first)
      const waiting = run(second)
      await someoneWaits(postgres)
      await holder.end(ending)
      return { first: holder.answers, second: await waiting }
    },
  }
}

/** What every participant does with the verdicts. */
async function handle(tx: Tx, sagaId: string, ways: readonly Way[]): Promise<string[]> {
  const rows = await claimSteps(
    tx,
    ways.map((direction) => ({ sagaId, step: 'reserve', direction })),
  )
  const answers: string[] = []
  const changed = new Set<string>()
  const write = (direction: StepKey['direction'], outcome: LedgerRow['outcome']): void => {
    const row = settle({ sagaId, step: 'reserve', direction }, outcome, `${direction} ${outcome}`)
    rows.set(formatStep(row), row)
    changed.add(formatStep(row))
  }
  for (const direction of ways) {
    const verdict = verdictOn(rows, sagaId, direction)
    answers.push(describeVerdict(verdict))
    if (verdict.kind === 'answer' || verdict.kind === 'pending') continue
    if (verdict.kind === 'act') {
      await tx.execute(insertEffect, [sagaId, direction === 'do' ? 'done' : 'undone'])
    } else {
      write('do', 'tombstone')
    }
    if (direction !== 'fence') write(direction, 'ok')
  }
  await saveSteps(
    tx,
    [...changed].flatMap((name) => rows.get(name) ?? []),
  )
  return answers
}

function verdictOn(rows: ReadonlyMap<string, LedgerRow>, sagaId: string, direction: Way) {
  const doRow = doRowOf(rows, sagaId)
  switch (direction) {
    case 'do':
      return judgeDo(doRow)
    case 'undo':
      return judgeUndo(doRow, rows.get(formatStep({ sagaId, step: 'reserve', direction })))
    case 'fence':
      return judgeFence(doRow)
    default:
      return unreachable(direction)
  }
}

function describeVerdict(verdict: DoVerdict | UndoVerdict | FenceVerdict): string {
  return verdict.kind === 'answer' && 'outcome' in verdict
    ? `again ${verdict.outcome}`
    : verdict.kind
}

function doRowOf(rows: ReadonlyMap<string, LedgerRow>, sagaId: string): LedgerRow {
  const row = rows.get(formatStep({ sagaId, step: 'reserve', direction: 'do' }))
  if (!row) throw new Error('the row of the do is always there')
  return row
}

const insertEffect: Statement<never> = {
  name: 'test_effect_insert',
  sql: 'insert into effect (saga_id, what) values ($1, $2)',
  row: noRow,
}

/** A transaction that has done its work and ends when told. */
async function held(database: Database, sagaId: string, way: Way) {
  const reached = Promise.withResolvers<string[]>()
  const end = Promise.withResolvers<'commit' | 'rollback'>()
  const ended = database
    .transaction(async (tx) => {
      reached.resolve(await handle(tx, sagaId, [way]))
      if ((await end.promise) === 'rollback') throw new Error('rolled back on purpose')
    })
    .catch((error: unknown) => {
      if (!(error instanceof Error) || error.message !== 'rolled back on purpose') throw error
    })
  const answers = await reached.promise
  return {
    answers,
    async end(how: 'commit' | 'rollback'): Promise<void> {
      end.resolve(how)
      await ended
    },
  }
}

async function someoneWaits(postgres: TestDatabase): Promise<void> {
  await waitFor(
    async () =>
      (
        await postgres.query(
          `select 1 from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        )
      ).length,
    { message: 'the second transaction waits for the first' },
  )
}
