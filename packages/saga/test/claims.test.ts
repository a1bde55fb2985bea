import { randomUUID } from 'node:crypto'
import {
  type Database,
  declaredStatements,
  noRow,
  openDatabase,
  type Statement,
  type Tx,
} from '@edp/runtime'
import {
  claimSteps,
  formatStep,
  judgeDo,
  judgeUndo,
  saveSteps,
  settle,
  type StepKey,
  stepLedger,
} from '@edp/saga/participant'
import { explainPlans, tablesSql, templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

// The business effect is a row of `effect`: nothing but the ledger keeps it from being written twice, or undone twice.
const effects = `create table effect (saga_id uuid not null, what text not null);
  grant all on all tables in schema public to saga_test`

let postgres: TestDatabase
let database: Database
let sagaId: string

beforeAll(async () => {
  postgres = await templateDatabase({
    role: 'saga_test',
    migrations: { sql: [...(await tablesSql({ stepLedger })), effects] },
  })
  database = openDatabase({ url: postgres.url, applicationName: 'saga-test', poolMax: 6 })
})

afterAll(async () => {
  await database.end()
  await postgres.drop()
})

beforeEach(() => {
  sagaId = randomUUID()
})

function stepOf(direction: 'do' | 'undo'): StepKey {
  return { sagaId, step: 'reserve', direction }
}

/** A participant in small: what every one does with the verdicts. */
async function handle(tx: Tx, directions: readonly ('do' | 'undo')[]): Promise<string[]> {
  const rows = await claimSteps(tx, directions.map(stepOf))
  const answers: string[] = []
  const changed = new Set<string>()
  const write = (direction: 'do' | 'undo', outcome: 'ok' | 'tombstone', reply: unknown): void => {
    const row = settle(stepOf(direction), outcome, reply)
    rows.set(formatStep(row), row)
    changed.add(formatStep(row))
  }
  for (const direction of directions) {
    const doRow = rows.get(formatStep(stepOf('do')))
    if (!doRow) throw new Error('the row of the do is always there')
    if (direction === 'do') {
      const verdict = judgeDo(doRow)
      if (verdict.kind === 'act') {
        write('do', 'ok', 'done')
        await effect(tx, 'done')
      }
      answers.push(verdict.kind === 'answer' ? `again ${verdict.outcome}` : verdict.kind)
    } else {
      const verdict = judgeUndo(doRow, rows.get(formatStep(stepOf('undo'))))
      if (verdict.kind === 'act') await effect(tx, 'undone')
      if (verdict.kind === 'nothing') write('do', 'tombstone', null)
      if (verdict.kind !== 'answer') write('undo', 'ok', 'undone')
      answers.push(verdict.kind)
    }
  }
  await saveSteps(
    tx,
    [...changed].flatMap((name) => rows.get(name) ?? []),
  )
  return answers
}

async function effect(tx: Tx, what: string): Promise<void> {
  await tx.execute(insertEffect, [sagaId, what])
}

const insertEffect: Statement<never> = {
  name: 'test_effect_insert',
  sql: 'insert into effect (saga_id, what) values ($1, $2)',
  row: noRow,
}

function run(...directions: ('do' | 'undo')[]): Promise<string[]> {
  return database.transaction((tx) => handle(tx, directions))
}

async function effectsSeen(): Promise<unknown[]> {
  const rows = await postgres.query('select what from effect where saga_id = $1', [sagaId])
  return rows.map((row) => String(row['what'])).toSorted()
}

/** A transaction that has done its work and ends when told. */
async function held(...directions: ('do' | 'undo')[]) {
  const reached = Promise.withResolvers<string[]>()
  const end = Promise.withResolvers<'commit' | 'rollback'>()
  const ended = database
    .transaction(async (tx) => {
      reached.resolve(await handle(tx, directions))
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

async function someoneWaits(): Promise<void> {
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

async function race(
  first: 'do' | 'undo',
  second: 'do' | 'undo',
  ending: 'commit' | 'rollback',
): Promise<{ first: string[]; second: string[] }> {
  const holder = await held(first)
  const waiting = run(second)
  await someoneWaits()
  await holder.end(ending)
  return { first: holder.answers, second: await waiting }
}

describe('in two transactions at once', () => {
  test('an undo waits for its do and undoes what it committed', async () => {
    expect(await race('do', 'undo', 'commit')).toEqual({ first: ['act'], second: ['act'] })
    expect(await effectsSeen()).toEqual(['done', 'undone'])
    expect(await run('undo')).toEqual(['answer'])
  })

  test('an undo whose do rolls back leaves a tombstone, and the do is refused when it comes again', async () => {
    expect(await race('do', 'undo', 'rollback')).toEqual({ first: ['act'], second: ['nothing'] })
    expect(await run('do')).toEqual(['again refused'])
    expect(await effectsSeen()).toEqual([])
  })

  test('a do waits for the undo that came first and is refused', async () => {
    expect(await race('undo', 'do', 'commit')).toEqual({
      first: ['nothing'],
      second: ['again refused'],
    })
    expect(await effectsSeen()).toEqual([])
  })

  test('a do whose undo rolls back acts', async () => {
    expect(await race('undo', 'do', 'rollback')).toEqual({ first: ['nothing'], second: ['act'] })
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('the second of two dos repeats the answer of the first', async () => {
    expect(await race('do', 'do', 'commit')).toEqual({ first: ['act'], second: ['again ok'] })
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('the second of two dos acts when the first rolls back', async () => {
    expect(await race('do', 'do', 'rollback')).toEqual({ first: ['act'], second: ['act'] })
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('two undos never both act', async () => {
    await run('do')
    expect(await race('undo', 'undo', 'commit')).toEqual({ first: ['act'], second: ['answer'] })
    expect(await effectsSeen()).toEqual(['done', 'undone'])
  })

  test('the second of two undos acts when the first rolls back', async () => {
    await run('do')
    expect(await race('undo', 'undo', 'rollback')).toEqual({ first: ['act'], second: ['act'] })
    expect(await effectsSeen()).toEqual(['done', 'undone'])
  })

  test('two undos before any do record one tombstone', async () => {
    expect(await race('undo', 'undo', 'commit')).toEqual({ first: ['nothing'], second: ['answer'] })
  })
})

describe('in one batch', () => {
  test('a do and then its undo are both done', async () => {
    expect(await run('do', 'undo')).toEqual(['act', 'act'])
    expect(await effectsSeen()).toEqual(['done', 'undone'])
    expect(await run('undo')).toEqual(['answer'])
    expect(await run('do')).toEqual(['again ok'])
  })

  test('a do behind its undo is refused', async () => {
    expect(await run('undo', 'do')).toEqual(['nothing', 'again refused'])
    expect(await run('do')).toEqual(['again refused'])
    expect(await effectsSeen()).toEqual([])
  })

  test('the same do and the same undo twice count once', async () => {
    expect(await run('do', 'do', 'undo', 'undo')).toEqual(['act', 'again ok', 'act', 'answer'])
    expect(await effectsSeen()).toEqual(['done', 'undone'])
  })

  test('a do that was done before and its undo', async () => {
    await run('do')
    expect(await run('undo', 'do')).toEqual(['act', 'again ok'])
    expect(await effectsSeen()).toEqual(['done', 'undone'])
  })
})

test('a step that a transaction began and left under way is pending for the do and acted on by the undo', async () => {
  await database.transaction(async (tx) => {
    const rows = await claimSteps(tx, [stepOf('do')])
    await saveSteps(
      tx,
      [...rows.keys()].map(() => settle(stepOf('do'), 'started', { key: 'k' })),
    )
  })
  expect(await run('do')).toEqual(['pending'])
  const verdict = await database.transaction(async (tx) => {
    const rows = await claimSteps(tx, [stepOf('undo')])
    const doRow = rows.get(formatStep(stepOf('do')))
    return doRow && judgeUndo(doRow, rows.get(formatStep(stepOf('undo'))))
  })
  expect(verdict).toEqual({ kind: 'act', on: 'started', reply: { key: 'k' } })
})

test('batches over the same steps in opposite orders do not deadlock', async () => {
  const sagaIds = Array.from({ length: 40 }, () => randomUUID())
  const batch = (ids: readonly string[], direction: 'do' | 'undo'): Promise<void> =>
    database.transaction(async (tx) => {
      const keys = ids.map((id): StepKey => ({ sagaId: id, step: 'reserve', direction }))
      const rows = await claimSteps(tx, keys)
      await saveSteps(
        tx,
        [...rows.values()]
          .filter((row) => row.fresh)
          .map((row) => settle(row, direction === 'do' ? 'ok' : 'tombstone')),
      )
    })
  await Promise.all(
    Array.from({ length: 30 }, (_, round) =>
      batch(round % 2 === 0 ? sagaIds : sagaIds.toReversed(), round % 3 === 0 ? 'undo' : 'do'),
    ),
  )
  const [counted] = await postgres.query(
    `select count(*)::int as rows from step_ledger where saga_id = any($1) and direction = 'do'`,
    [sagaIds],
  )
  expect(counted).toEqual({ rows: 40 })
})

test('each statement looks up by the whole key while there are no statistics', async () => {
  const statements = declaredStatements().filter((one) => one.name.startsWith('step_ledger_'))
  expect(statements).toHaveLength(4)
  expect(await explainPlans(postgres.url, statements)).toEqual([])
})
