import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Database, noRow, openDatabase, sqlState, statement, type Tx } from '../src/index.ts'
import { type OwnDatabase, ownDatabase } from './postgres.ts'

const insertNote = statement('wave_note_insert', noRow, 'insert into notes (text) values ($1)')
const divided = statement('divided', z.object({ result: z.int() }), 'select 1 / $1::int as result')
const behindDivided = statement('behind_divided', z.object({ one: z.int() }), 'select 1 as one')
const brokenSql = statement('broken_sql', noRow, 'selekt 1')

let own: OwnDatabase
let database: Database

beforeAll(async () => {
  own = await ownDatabase()
  // One connection, so that each transaction finds what the one before has prepared.
  database = openDatabase({ url: own.url, applicationName: 'wave-test', poolMax: 1 })
  await database.reads.query('create table notes (text text not null)')
})
afterAll(async () => {
  await database.end()
  await own.drop()
})

async function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error,
  )
}

test('a wave that failed leaves a connection that prepares what it has not, and nothing twice', async () => {
  const work = async (tx: Tx, divisor: number): Promise<unknown> => {
    void tx.run(divided, [divisor])
    return await tx.run(behindDivided)
  }
  // The first one prepares `divided` and fails with it, so what is behind it is not prepared either.
  for (const divisor of [0, 0, 1]) {
    const outcome = await database.transaction((tx) => work(tx, divisor)).catch(sqlState)
    expect(outcome).toEqual(divisor === 0 ? '22012' : [{ one: 1 }])
  }
  for (let time = 0; time < 2; time += 1) {
    const error = await rejection(database.transaction((tx) => tx.execute(brokenSql)))
    expect(sqlState(error)).toBe('42601')
  }
})

test('a value that cannot be converted fails the transaction, of which Postgres saw no error', async () => {
  const endless: Record<string, unknown> = {}
  endless['itself'] = endless
  const error = await rejection(
    database.transaction(async (tx) => {
      void tx.execute(insertNote, ['one'])
      void tx.execute(insertNote, [endless])
    }),
  )
  expect(error).toBeInstanceOf(TypeError)
  expect((await database.reads.query('select * from notes')).rows).toEqual([])
})
