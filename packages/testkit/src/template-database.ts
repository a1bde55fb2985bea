import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { migrate } from '@edp/runtime/migrate'
import pg from 'pg'
import { z } from 'zod'
import { rolePassword, stack } from './stack.ts'

/** What makes the schema of a database: a folder of migrations, or statements that run one after the other. */
export type Migrations = string | { readonly sql: readonly string[] }

/** A database of one test file. */
export type TestDatabase = {
  readonly name: string
  /** Connects as the owner of the schema. */
  readonly url: string
  /** Connects as the service: what it may do is what the migrations granted. */
  readonly serviceUrl: string
  /** Connects as the relay. */
  readonly relayUrl: string
  /** Connects as the administrator of the server. */
  readonly adminUrl: string
  /** Runs a statement as the owner, for set-up and for looking at what happened. */
  query(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** Ends every connection to it and removes it. */
  drop(): Promise<void>
}

// One lock for everything here, on the administrator's database: two creators of one template race, and a template
// cannot be cloned while somebody is connected to it.
const lockId = 7_105_332
const leftoverAgeMs = 60 * 60 * 1000
const relayRole = 'relay'

/** The comment of a template says when it was made; one that is not finished has none. */
const databaseRows = z.array(z.object({ name: z.string(), comment: z.string().nullable() }))

/**
 * A database of its own for a test file, with the schema that `migrations` make: cloned from a template that is made once
 * for each state of the migrations, by whichever test process comes first. Databases that crashed runs left behind are
 * dropped after an hour.
 * @param options `role` is the service's (`order_service`); roles are made where the stack has not made them
 */
export async function templateDatabase(options: {
  role: string
  migrations: Migrations
}): Promise<TestDatabase> {
  const { role, migrations } = options
  const template = `tpl_${fingerprint(role, migrations)}`
  const name = `test_${Date.now()}_${randomBytes(4).toString('hex')}`
  await asAdmin(async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [lockId])
    await dropLeftovers(admin, template)
    await ensureTemplate(admin, template, { role, migrations })
    await clone(admin, template, { name, role })
  })
  return openTestDatabase(name, role)
}

function openTestDatabase(name: string, role: string): TestDatabase {
  const url = urlOf(name, `${role}_owner`)
  const pool = new pg.Pool({ connectionString: url, max: 2, application_name: 'testkit' })
  // Tests stop Postgres and drop databases under open connections.
  pool.on('error', () => undefined)
  let dropped: Promise<void> | undefined
  const drop = async (): Promise<void> => {
    await pool.end()
    await asAdmin((admin) => dropDatabase(admin, name))
  }
  return {
    name,
    url,
    serviceUrl: urlOf(name, role),
    relayUrl: urlOf(name, relayRole),
    adminUrl: adminUrlOf(name),
    query: async (sql, values = []) => asRows((await pool.query(sql, [...values])).rows),
    drop: () => (dropped ??= drop()),
  }
}

async function ensureTemplate(
  admin: pg.Client,
  template: string,
  { role, migrations }: { role: string; migrations: Migrations },
): Promise<void> {
  if (await exists(admin, template)) return
  const owner = `${role}_owner`
  for (const needed of [owner, role, relayRole]) await ensureRole(admin, needed)
  // Renamed when it is complete: a process that dies meanwhile leaves no half template behind.
  const unfinished = `${template}_unfinished`
  await dropDatabase(admin, unfinished)
  await createDatabase(admin, `${unfinished} owner ${owner}`)
  await applyMigrations(urlOf(unfinished, owner), migrations)
  await admin.query(`comment on database ${unfinished} is '${Date.now()}'`)
  await admin.query(`alter database ${unfinished} rename to ${template}`)
}

async function applyMigrations(url: string, migrations: Migrations): Promise<void> {
  if (typeof migrations === 'string') {
    await migrate({ url, folder: migrations })
    return
  }
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const sql of migrations.sql) await client.query(sql)
  } finally {
    await client.end()
  }
}

async function clone(
  admin: pg.Client,
  template: string,
  { name, role }: { name: string; role: string },
): Promise<void> {
  await createDatabase(admin, `${name} template ${template} owner ${role}_owner`)
  // Privileges of the database itself are not cloned.
  await admin.query(`revoke all on database ${name} from public`)
  await admin.query(`grant connect on database ${name} to ${role}, ${relayRole}`)
}

// Answers that the template is in use while a connection that was just closed is still leaving.
async function createDatabase(admin: pg.Client, definition: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await admin.query(`create database ${definition}`)
      return
    } catch (error) {
      const inUse = error instanceof pg.DatabaseError && error.code === '55006'
      if (!inUse || attempt === 5) throw error
    }
  }
}

async function ensureRole(admin: pg.Client, role: string): Promise<void> {
  const { rowCount } = await admin.query('select 1 from pg_roles where rolname = $1', [role])
  if (rowCount !== 0) return
  await admin.query(`create role ${role} login password ${pg.escapeLiteral(rolePassword())}`)
}

/** Drops databases of crashed runs, and templates that are a day old: who needs one makes it again. */
async function dropLeftovers(admin: pg.Client, current: string): Promise<void> {
  const { rows } = await admin.query(
    `select datname as name, shobj_description(oid, 'pg_database') as comment from pg_database
     where datname ~ '^test_[0-9]{13}_[0-9a-f]{8}$' or datname ~ '^tpl_[0-9a-f]{16}'`,
  )
  for (const { name, comment } of databaseRows.parse(rows)) {
    const isTest = name.startsWith('test_')
    const bornAt = Number(isTest ? name.split('_')[1] : comment)
    const ageMaxMs = isTest ? leftoverAgeMs : 24 * leftoverAgeMs
    if (name !== current && bornAt < Date.now() - ageMaxMs) await dropDatabase(admin, name)
  }
}

async function dropDatabase(admin: pg.Client, name: string): Promise<void> {
  await admin.query(`drop database if exists ${name} with (force)`)
}

async function exists(admin: pg.Client, name: string): Promise<boolean> {
  const { rowCount } = await admin.query('select 1 from pg_database where datname = $1', [name])
  return rowCount === 1
}

async function asAdmin<T>(work: (admin: pg.Client) => Promise<T>): Promise<T> {
  const admin = new pg.Client({
    connectionString: stack().postgresAdminUrl,
    application_name: 'testkit',
    connectionTimeoutMillis: 10_000,
  })
  admin.on('error', () => undefined)
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    // Also gives the advisory lock back.
    await admin.end()
  }
}

function urlOf(database: string, role: string): string {
  const url = new URL(adminUrlOf(database))
  url.username = role
  url.password = rolePassword()
  return url.href
}

function adminUrlOf(database: string): string {
  const url = new URL(stack().postgresAdminUrl)
  url.pathname = `/${database}`
  return url.href
}

function fingerprint(role: string, migrations: Migrations): string {
  const hash = createHash('sha256').update(role)
  for (const part of typeof migrations === 'string' ? filesOf(migrations) : migrations.sql) {
    hash.update('\0').update(part)
  }
  return hash.digest('hex').slice(0, 16)
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()
    .map((path) => readFileSync(path, 'utf8'))
}

function asRows(rows: unknown[]): Record<string, unknown>[] {
  return z.array(z.record(z.string(), z.unknown())).parse(rows)
}
