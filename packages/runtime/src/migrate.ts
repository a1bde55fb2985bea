import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { Client } from 'pg'
import { z } from 'zod'
import { hasNoArguments } from './arguments.ts'
import { ConfigError, postgresUrl, readConfig } from './config.ts'

/** What `migrate` needs. */
export type MigrateOptions = {
  /** Connects as the owner of the schema, never as the service. */
  url: string
  /** Holds the SQL files and drizzle's `meta/_journal.json`. */
  folder: string
  /** The key of the advisory lock; one a database is enough. */
  lockId?: number
  /** How long to wait for another process that migrates. */
  lockTimeoutMs?: number
}

/** What `migrate` did. */
export type Migrated = { applied: string[]; total: number }

const journalSchema = z.object({
  entries: z.array(z.object({ when: z.number(), tag: z.string() })),
})
const appliedSchema = z.array(z.object({ hash: z.string() }))

/**
 * Applies the migrations that are new, in one transaction, under an advisory lock: drizzle's
 * migrator takes none, and two at once fail. Throws when a migration was edited after it was applied
 * or is older than one that was applied, both of which drizzle skips in silence.
 */
export async function migrate(options: MigrateOptions): Promise<Migrated> {
  const { url, folder, lockId = 7_105_331, lockTimeoutMs = 60_000 } = options
  const client = new Client({
    connectionString: url,
    application_name: 'migrate',
    connectionTimeoutMillis: 10_000,
    lock_timeout: lockTimeoutMs,
  })
  // Without a listener a connection lost between two statements ends the process.
  let lost: Error | undefined
  client.on('error', (error) => {
    lost = error
  })
  await client.connect()
  try {
    await client.query('select pg_advisory_lock($1)', [lockId])
    const before = await appliedHashes(client)
    await runMigrations(drizzle(client), { migrationsFolder: folder })
    const after = await appliedHashes(client)
    const files = await migrationFiles(folder)
    const missing = files.filter((file) => !after.has(file.hash)).map((file) => file.tag)
    if (missing.length > 0) {
      throw new Error(
        `not applied: ${missing.join(', ')}: edited after it was applied, or older than the newest one`,
      )
    }
    const applied = files.filter((file) => !before.has(file.hash)).map((file) => file.tag)
    return { applied, total: files.length }
  } catch (error) {
    throw lost ?? error
  } finally {
    // Closing the session also gives the lock back.
    await client.end()
  }
}

async function appliedHashes(client: Client): Promise<ReadonlySet<string>> {
  const table = await client.query(
    `select 1 from pg_catalog.pg_tables
     where schemaname = 'drizzle' and tablename = '__drizzle_migrations'`,
  )
  if (table.rowCount === 0) return new Set()
  const { rows } = await client.query('select hash from drizzle.__drizzle_migrations')
  return new Set(appliedSchema.parse(rows).map((row) => row.hash))
}

async function migrationFiles(folder: string): Promise<{ tag: string; hash: string }[]> {
  const text = await readFile(join(folder, 'meta/_journal.json'), 'utf8')
  const { entries } = journalSchema.parse(JSON.parse(text))
  const tags = new Map(entries.map((entry) => [entry.when, entry.tag]))
  return readMigrationFiles({ migrationsFolder: folder }).map((file) => ({
    tag: tags.get(file.folderMillis) ?? String(file.folderMillis),
    hash: file.hash,
  }))
}

/**
 * The whole of an app's `src/migrate.ts`: migrates the database of `MIGRATION_DATABASE_URL`, says
 * what it did, and sets exit code 1 when it failed. `--help` and other arguments as `hasNoArguments` says.
 */
export async function runMigrateMain(folder: string): Promise<void> {
  const schema = z.object({
    MIGRATION_DATABASE_URL: postgresUrl.describe('connects as the owner of the schema'),
  })
  if (!hasNoArguments('migrate', schema)) return
  try {
    const { MIGRATION_DATABASE_URL: url } = readConfig(schema, process.env)
    const { applied, total } = await migrate({ url, folder })
    const what = applied.length === 0 ? 'nothing new' : `applied ${applied.join(', ')}`
    process.stdout.write(
      `migrations of ${new URL(url).pathname.slice(1)}: ${what}, ${total} in all\n`,
    )
  } catch (error) {
    process.stderr.write(`migrate: ${explain(error)}\n`)
    process.exitCode = 1
  }
}

function explain(error: unknown): string {
  if (error instanceof ConfigError || !(error instanceof Error)) return String(error)
  const cause = error.cause instanceof Error ? `\ncaused by: ${error.cause.message}` : ''
  return `${error.message}${cause}`
}
