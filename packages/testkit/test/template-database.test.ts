import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, expect, test } from 'vitest'
import { repositoryRoot, stack, templateDatabase, type TestDatabase } from '../src/index.ts'

const run = promisify(execFile)
const opened: TestDatabase[] = []
// A table of its own each run, so that the template has to be made.
const table = `items_${Date.now()}`
const migrations = {
  sql: [
    `create table ${table} (id bigint primary key)`,
    // Drawn once, when the template is made: its clones have it in common.
    'create table made as select gen_random_uuid() as id',
    `grant select on ${table} to testkit_service`,
    'select pg_sleep(0.2)',
  ],
}

async function open(): Promise<TestDatabase> {
  const database = await templateDatabase({ role: 'testkit_service', migrations })
  opened.push(database)
  return database
}

afterAll(() => Promise.all(opened.map((database) => database.drop())))

async function databaseNames(pattern: string): Promise<string[]> {
  const admin = new pg.Client({ connectionString: stack().postgresAdminUrl })
  await admin.connect()
  const { rows } = await admin.query('select datname from pg_database where datname ~ $1', [
    pattern,
  ])
  await admin.end()
  return rows.map((row) => row.datname)
}

test('databases of one template are separate, and racing for the template makes one', async () => {
  const databases = await Promise.all([open(), open(), open()])
  const made = await Promise.all(databases.map((one) => one.query('select id from made')))
  expect(new Set(made.flat().map(({ id }) => id)).size).toBe(1)
  const [first, second] = databases
  await first?.query(`insert into ${table} values (1)`)
  expect(await first?.query(`select id from ${table}`)).toHaveLength(1)
  expect(await second?.query(`select id from ${table}`)).toHaveLength(0)
})

test('processes race for a template as well', async () => {
  const script = `
    const { templateDatabase } = await import('./packages/testkit/src/index.ts')
    const database = await templateDatabase({
      role: 'testkit_service', migrations: { sql: ['create table ${table}_raced (id bigint)'] },
    })
    await database.query('select * from ${table}_raced')
    await database.drop()
    process.stdout.write('done')`
  const start = () =>
    run(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
      cwd: repositoryRoot(),
    })
  const results = await Promise.all([start(), start()])
  expect(results.map((result) => result.stdout)).toEqual(['done', 'done'])
})

test('the service may do what the migrations granted and no more', async () => {
  const database = await open()
  const service = new pg.Client({ connectionString: database.serviceUrl })
  await service.connect()
  await service.query(`select * from ${table}`)
  await expect(service.query(`insert into ${table} values (1)`)).rejects.toThrow(
    'permission denied',
  )
  await service.end()
})

test('drop removes the database, also with somebody connected, and may be called twice', async () => {
  const database = await open()
  const visitor = new pg.Client({ connectionString: database.adminUrl })
  visitor.on('error', () => undefined)
  await visitor.connect()
  await database.drop()
  await database.drop()
  expect(await databaseNames(`^${database.name}$`)).toEqual([])
})

test('what a crashed run left behind is dropped after an hour', async () => {
  const old = `test_${Date.now() - 61 * 60 * 1000}_0badcafe`
  const young = `test_${Date.now() - 59 * 60 * 1000}_0badcafe`
  const admin = new pg.Client({ connectionString: stack().postgresAdminUrl })
  await admin.connect()
  for (const name of [old, young]) await admin.query(`create database ${name}`)
  await open()
  expect(await databaseNames(`^(${old}|${young})$`)).toEqual([young])
  await admin.query(`drop database ${young}`)
  await admin.end()
})
