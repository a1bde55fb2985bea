import { claimSteps, saveSteps, settle } from '@edp/saga/participant'
import { describe, expect, test } from 'vitest'
import { participant } from './participant.ts'

const service = participant()
const { effectsSeen, race, run, stepOf } = service

describe('in two transactions at once', () => {
  test('a fence waits for the do under way and says that it was done', async () => {
    expect(await race('do', 'fence', 'commit')).toEqual({ first: ['act'], second: ['again ok'] })
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('a fence whose do rolls back forbids it for ever', async () => {
    expect(await race('do', 'fence', 'rollback')).toEqual({ first: ['act'], second: ['fence'] })
    expect(await run('do')).toEqual(['again refused'])
    expect(await effectsSeen()).toEqual([])
  })

  test('a do waits for the fence that came first and is refused', async () => {
    expect(await race('fence', 'do', 'commit')).toEqual({
      first: ['fence'],
      second: ['again refused'],
    })
    expect(await effectsSeen()).toEqual([])
  })

  test('a do whose fence rolls back acts, and the fence says so when it comes again', async () => {
    expect(await race('fence', 'do', 'rollback')).toEqual({ first: ['fence'], second: ['act'] })
    expect(await run('fence')).toEqual(['again ok'])
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('the second of two fences repeats the answer of the first', async () => {
    expect(await race('fence', 'fence', 'commit')).toEqual({
      first: ['fence'],
      second: ['again fenced'],
    })
  })
})

describe('in one batch', () => {
  test('a do and then its fence: it was done', async () => {
    expect(await run('do', 'fence', 'fence')).toEqual(['act', 'again ok', 'again ok'])
    expect(await effectsSeen()).toEqual(['done'])
  })

  test('a do behind its fence is refused', async () => {
    expect(await run('fence', 'do', 'fence')).toEqual(['fence', 'again refused', 'again fenced'])
    expect(await run('fence', 'do')).toEqual(['again fenced', 'again refused'])
    expect(await effectsSeen()).toEqual([])
  })
})

test('a fence has no row of its own: the do says everything', async () => {
  await run('fence')
  expect(
    await service.postgres.query('select direction, outcome from step_ledger where saga_id = $1', [
      stepOf('do').sagaId,
    ]),
  ).toEqual([{ direction: 'do', outcome: 'tombstone' }])
})

test('of a step that is under way nobody can say whether it will be done', async () => {
  await service.database.transaction(async (tx) => {
    await claimSteps(tx, [stepOf('do')])
    await saveSteps(tx, [settle(stepOf('do'), 'started')])
  })
  expect(await run('fence')).toEqual(['pending'])
})
