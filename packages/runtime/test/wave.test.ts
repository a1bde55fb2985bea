import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Database, noRow, openDatabase, sqlState, statement, type Tx } from '../src/index.ts'
import { type OwnDatabase, ownDatabase } from './postgres.ts'
import { rejection } from './rejection.ts'

const insertNote = statement('wave_note_insert', noRow, 'insert into notes (text) values ($1)')
const divided = statement('divided', z.object({ result: z.int() }), 'select 1 / $1::int as result')
const behindDivided = statement('behind_divided', z.object({ one: z.int() }), 'select 1 as one')
const largest = statement(
  'largest',
  z.object({ number: z.number() }),
  'select 9007199254740992::int8 as number',
)
const nothing = statement('nothing', noRow, '-- nothing')
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

async function notes(): Promise<unknown[]> {
  return (await database.reads.query('select * from notes')).rows
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
  expect(await notes()).toEqual([])
})

test('a row that cannot be read fails the transaction, and the connection is used again', async () => {
  const error = await rejection(
    database.transaction(async (tx) => {
      void tx.execute(insertNote, ['one'])
      await tx.run(largest)
    }),
  )
  expect(error).toMatchObject({ message: 'int8 9007199254740992 is beyond 2^53 - 1' })
  expect(await notes()).toEqual([])
  const again = await database.transaction((tx) => tx.run(behindDivided))
  expect(again).toEqual([{ one: 1 }])
})

test('an empty statement is answered, and what is behind it too', async () => {
  const answers = await database.transaction((tx) =>
    Promise.all([tx.execute(nothing), tx.run(behindDivided)]),
  )
  expect(answers).toEqual([0, [{ one: 1 }]])
})

test('what a branch of the work sends after another has failed is not written', async () => {
  const refusal = new Error('refused')
  const late = async (tx: Tx, turns: number): Promise<void> => {
    await tx.run(behindDivided)
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    await tx.execute(insertNote, ['late'])
  }
  for (const turns of [0, 1, 2, 5]) {
    const error = await rejection(
      database.transaction((tx) => Promise.all([late(tx, turns), Promise.reject(refusal)])),
    )
    expect(error).toBe(refusal)
    expect(await notes()).toEqual([])
  }
})

test('what a flush sends behind the COMMIT is an error, not a statement of its own', async () => {
  const flush = async (tx: Tx): Promise<void> => {
    await tx.execute(insertNote, ['in it'])
    await tx.execute(insertNote, ['behind it'])
  }
  const error = await rejection(
    database.transaction(async (tx) => {
      tx.collect(flush, [1])
    }),
  )
  expect(error).toMatchObject({ code: 'transaction-over' })
  expect(await notes()).toEqual([{ text: 'in it' }])
  await database.reads.query('truncate notes')
})
