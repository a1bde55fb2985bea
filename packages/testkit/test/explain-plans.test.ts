import { afterAll, beforeAll, expect, test } from 'vitest'
import { explainPlans, templateDatabase, type TestDatabase } from '../src/index.ts'

let database: TestDatabase

beforeAll(async () => {
  database = await templateDatabase({
    role: 'testkit_service',
    migrations: {
      sql: [
        `create table ledger (
           saga_id uuid, step text, direction text, at timestamptz, primary key (saga_id, step, direction)
         )`,
        'create index ledger_open on ledger (at) where direction = $$do$$',
      ],
    },
  })
})

afterAll(() => database.drop())

const problemsOf = (sql: string, key?: string[]) =>
  explainPlans(database.url, [{ name: 's', sql }], key ? { s: { ledger: key } } : {})

test('a batch joined on the whole key passes', async () => {
  const update = `update ledger l set at = now()
    from unnest($1::uuid[], $2::text[], $3::text[]) as u (id, step, direction)
    where l.saga_id = u.id and l.step = u.step and l.direction = u.direction`
  expect(await problemsOf(update)).toEqual([])
})

test('a batch joined on a part of the key is reported with what is missing', async () => {
  const update = `update ledger l set at = now()
    from unnest($1::uuid[]) as u (id) where l.saga_id = u.id and l.step = 'charge'`
  const [problem, ...others] = await problemsOf(update)
  expect(others).toEqual([])
  expect(problem).toMatch(/^s: .*of ledger does not look up by .*direction/)
})

test('a scan of the whole table is reported', async () => {
  expect(await problemsOf('select * from ledger where at < $1')).toEqual([
    's: Seq Scan of ledger does not look up by saga_id, step, direction',
  ])
})

test('another key can be named, such as the column of a partial index', async () => {
  const due = `select * from ledger where direction = 'do' and at < $1 order by at limit 10`
  expect(await problemsOf(due, ['at'])).toEqual([])
  expect(await problemsOf(due)).not.toEqual([])
})

test('an insert that waits for a conflict looks nothing up', async () => {
  const insert = `insert into ledger (saga_id, step, direction)
    select id, $2, $3 from unnest($1::uuid[]) as u (id) on conflict do nothing`
  expect(await problemsOf(insert)).toEqual([])
})

test('what autovacuum has counted of rows that are gone changes nothing', async () => {
  const due = `select * from ledger where direction = 'do' and at < $1 order by at limit 10`
  await database.query(`insert into ledger
    select gen_random_uuid(), 'charge', 'do', now() from generate_series(1, 20)`)
  await database.query('truncate ledger')
  await database.query('vacuum analyze ledger')
  const [counted] = await database.query(`select reltuples from pg_class where relname = 'ledger'`)
  expect(counted).toEqual({ reltuples: 0 })
  expect(await problemsOf(due, ['at'])).toEqual([])
})
