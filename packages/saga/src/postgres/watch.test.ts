import { createHealth, createLogger, type Tx } from '@edp/runtime'
import { expect, test } from 'vitest'
import { createSagaRegistry } from './registry.ts'
import { createSagaWatch } from './watch.ts'

function waiting(sagas: number) {
  const counts = { definition: 'trip', definition_version: 1, age_seconds: 1, lag_seconds: 0 }
  return sagas === 0 ? [] : [{ ...counts, status: 'needs_human', sagas }]
}

test('it is said once for each saga more that waits for a person', async () => {
  const lines: string[] = []
  const logger = createLogger('test', 'warn', {
    destination: { write: (line) => lines.push(line) },
  })
  const looks = [1, 1, 3, 0, 2]
  const looked = Promise.withResolvers<void>()
  const rows = async () => {
    const sagas = looks.shift()
    if (sagas === undefined) looked.resolve()
    return waiting(sagas ?? 2)
  }
  const tx = { run: rows } as unknown as Tx
  const watch = createSagaWatch({
    database: { transaction: (work) => work(tx) },
    registry: createSagaRegistry([]),
    logger,
    health: createHealth(),
    intervalMs: 1,
  })
  await watch.start()
  await looked.promise
  await watch.stop()
  expect(lines.map((line) => JSON.parse(line).sagas)).toEqual([1, 3, 2])
})
