import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrate } from '../src/migrate.ts'
import { type OwnDatabase, ownDatabase } from './postgres.ts'

type File = { when: number; tag: string; sql: string }

const first: File = { when: 1000, tag: '0000_first', sql: 'create table first (id int);' }
const second: File = { when: 2000, tag: '0001_second', sql: 'create table second (id int);' }

let database: OwnDatabase
let folder: string

beforeEach(async () => {
  database = await ownDatabase()
  folder = await mkdtemp(join(tmpdir(), 'migrations-'))
})

afterEach(async () => {
  await database.drop()
  await rm(folder, { recursive: true })
})

async function write(...files: File[]): Promise<void> {
  await mkdir(join(folder, 'meta'), { recursive: true })
  const entries = files.map(({ when, tag }, idx) => ({ idx, when, tag, breakpoints: true }))
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify({ entries }))
  await Promise.all(files.map(({ tag, sql }) => writeFile(join(folder, `${tag}.sql`), sql)))
}

async function tables(): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'public' order by 1`,
  )
  await client.end()
  return rows.map(({ name }) => name)
}

test('applies what is new, in order, and says what it was', async () => {
  await write(first)
  expect(await migrate({ url: database.url, folder })).toEqual({ applied: [first.tag], total: 1 })
  await write(first, second)
  expect(await migrate({ url: database.url, folder })).toEqual({ applied: [second.tag], total: 2 })
  expect(await migrate({ url: database.url, folder })).toEqual({ applied: [], total: 2 })
  expect(await tables()).toEqual(['first', 'second'])
})

test('many at once: one migrates, the others wait and find nothing to do', async () => {
  await write(first, second)
  const results = await Promise.all(
    Array.from({ length: 6 }, () => migrate({ url: database.url, folder })),
  )
  expect(results.map(({ applied }) => applied.length).toSorted((a, b) => a - b)).toEqual([
    0, 0, 0, 0, 0, 2,
  ])
})

test('a migration that fails leaves nothing behind, and runs when it is repaired', async () => {
  await write(first, { ...second, sql: 'create table second (id int); select 1/0;' })
  await expect(migrate({ url: database.url, folder })).rejects.toThrow('Failed query')
  expect(await tables()).toEqual([])
  await write(first, second)
  expect((await migrate({ url: database.url, folder })).applied).toHaveLength(2)
})

test('a migration that was edited after it was applied is an error', async () => {
  await write(first)
  await migrate({ url: database.url, folder })
  await write({ ...first, sql: 'create table other (id int);' })
  await expect(migrate({ url: database.url, folder })).rejects.toThrow('not applied: 0000_first')
})

test('a migration that is older than an applied one is an error and not skipped in silence', async () => {
  await write(second)
  await migrate({ url: database.url, folder })
  await write(first, second)
  await expect(migrate({ url: database.url, folder })).rejects.toThrow('not applied: 0000_first')
})
