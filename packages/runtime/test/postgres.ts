import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
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

/** The same database behind a proxy that counts round trips: how often the client has spoken after an answer. */
export async function countingTrips(
  url: string,
): Promise<{ url: string; roundTrips: () => number; close(): Promise<unknown> }> {
  const { hostname, port } = new URL(url)
  let trips = 0
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    let isAnswered = true
    near.on('data', (chunk) => {
      if (isAnswered) trips += 1
      isAnswered = false
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      isAnswered = true
      near.write(chunk)
    })
    near.on('close', () => far.destroy())
    near.on('error', () => far.destroy())
    far.on('close', () => near.destroy())
    far.on('error', () => near.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const proxied = new URL(url)
  proxied.hostname = '127.0.0.1'
  proxied.port = String(address.port)
  return {
    url: proxied.href,
    roundTrips: () => trips,
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}
