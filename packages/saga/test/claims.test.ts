import { randomUUID } from 'node:crypto'
import { declaredStatements } from '@edp/runtime'
import {
  claimSteps,
  formatStep,
  judgeUndo,
  saveSteps,
  settle,
  type StepKey,
} from '@edp/saga/participant'
import { explainPlans } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import { participant } from './participant.ts'

const service = participant()
const { effectsSeen, race, run, stepOf } = service

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

test('an undo that fails is not recorded, so the next one acts', async () => {
  await run('do')
  await service.failToUndo()
  expect(await effectsSeen()).toEqual(['done'])
  expect(await run('undo')).toEqual(['act'])
  expect(await run('undo')).toEqual(['answer'])
  expect(await effectsSeen()).toEqual(['done', 'undone'])
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
  await service.database.transaction(async (tx) => {
    const rows = await claimSteps(tx, [stepOf('do')])
    await saveSteps(
      tx,
      [...rows.keys()].map(() => settle(stepOf('do'), 'started', { key: 'k' })),
    )
  })
  expect(await run('do')).toEqual(['pending'])
  const verdict = await service.database.transaction(async (tx) => {
    const rows = await claimSteps(tx, [stepOf('undo')])
    const doRow = rows.get(formatStep(stepOf('do')))
    return doRow && judgeUndo(doRow, rows.get(formatStep(stepOf('undo'))))
  })
  expect(verdict).toEqual({ kind: 'act', on: 'started', reply: { key: 'k' } })
})

test('batches over the same steps in opposite orders do not deadlock', async () => {
  const sagaIds = Array.from({ length: 40 }, () => randomUUID())
  const batch = (ids: readonly string[], direction: 'do' | 'undo'): Promise<void> =>
    service.database.transaction(async (tx) => {
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
  const [counted] = await service.postgres.query(
    `select count(*)::int as rows from step_ledger where saga_id = any($1) and direction = 'do'`,
    [sagaIds],
  )
  expect(counted).toEqual({ rows: 40 })
})

test('each statement looks up by the whole key while there are no statistics', async () => {
  const statements = declaredStatements().filter((one) => one.name.startsWith('step_ledger_'))
  expect(statements).toHaveLength(4)
  expect(await explainPlans(service.postgres.url, statements)).toEqual([])
})
