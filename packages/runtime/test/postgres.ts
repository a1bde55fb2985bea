import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import pg from 'pg'

// The testkit builds on this package, so this package's own tests make their databases themselves.

/** An empty database of the caller's own. */
export type OwnDatabase = { url: string; drop(): Promise<void> }

/** Makes an empty database on the stack's Postgres. */
export async function ownDatabase(): Promise<OwnDatabase> {
  const name = `test_${Date.now()}_${randomBytes(4).toString('hex')}`
  await asAdmin(`create database ${name}`)
  const url = new URL(adminUrl())
  url.pathname = `/${name}`
  return { url: url.href, drop: () => asAdmin(`drop database if exists ${name} with (force)`) }
}

async function asAdmin(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl() })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}

function adminUrl(): string {
  const file = join(import.meta.dirname, '../../..', '.stack/env/stack.env')
  const written = existsSync(file) ? parseEnv(readFileSync(file, 'utf8')) : {}
  const url = process.env['STACK_POSTGRES_ADMIN_URL'] ?? written['STACK_POSTGRES_ADMIN_URL']
  if (url === undefined) throw new Error('no Postgres: run `pnpm stack up`')
  return url
}
