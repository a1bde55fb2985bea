import { Client, escapeIdentifier, escapeLiteral } from 'pg'
import { z } from 'zod'
import { messageOf, StackError } from './stack-error.ts'
import { databases, RELAY_ROLE, type Database } from './topology.ts'

const CONNECT_TIMEOUT_MS = 10_000

const stateSchema = z.object({
  /** Differs for every cluster that was ever initialised. */
  system: z.string(),
  superuser: z.boolean(),
  roles: z.array(z.string()),
  databases: z.array(z.object({ name: z.string(), oid: z.string() })),
})

type State = z.output<typeof stateSchema>

/**
 * Makes the databases and roles that are missing. Returns an identity for each database: another one
 * means that the database, or the whole cluster, is new and has no migrations yet.
 */
export async function ensureDatabases(
  adminUrl: string,
  options: { password: string; isCurrent: (app: string, identity: string) => boolean },
): Promise<Map<string, string>> {
  const client = new Client({
    connectionString: adminUrl,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  })
  try {
    await client.connect()
  } catch (error) {
    throw new StackError(
      `Postgres refuses the administrator: ${messageOf(error)}. If STACK_PASSWORD changed since the ` +
        'data was made, use the old one or run `pnpm stack reset`.',
    )
  }
  try {
    const before = await readState(client)
    await ensureRole(client, before, { role: RELAY_ROLE, ...options, renew: false })
    for (const database of databases()) await ensureDatabase(client, before, database, options)
    const after = await readState(client)
    return new Map(databases().map(({ app, name }) => [app, identityOf(after, name)]))
  } finally {
    await client.end()
  }
}

function identityOf(state: State, name: string): string {
  const oid = state.databases.find((database) => database.name === name)?.oid ?? 'none'
  return `${state.system}/${oid}`
}

async function readState(client: Client): Promise<State> {
  const { rows } = await client.query(`
    select (select system_identifier::text from pg_control_system()) as system,
           (select rolsuper from pg_roles where rolname = current_user) as superuser,
           array(select rolname::text from pg_roles) as roles,
           (select json_agg(json_build_object('name', datname, 'oid', oid::text)) from pg_database)
             as databases`)
  return stateSchema.parse(rows[0])
}

async function ensureDatabase(
  client: Client,
  state: State,
  database: Database,
  options: { password: string; isCurrent: (app: string, identity: string) => boolean },
): Promise<void> {
  const { name, app, owner, service } = database
  if (options.isCurrent(app, identityOf(state, name))) return
  for (const role of [owner, service]) {
    await ensureRole(client, state, { role, password: options.password, renew: true })
  }
  await ensureRole(client, state, { role: RELAY_ROLE, password: options.password, renew: true })
  if (!state.databases.some((existing) => existing.name === name)) {
    // An administrator that is no superuser may give a database only to a role that it belongs to.
    if (!state.superuser) await client.query(`grant ${escapeIdentifier(owner)} to current_user`)
    await client.query(`create database ${escapeIdentifier(name)} owner ${escapeIdentifier(owner)}`)
  }
  const connecting = [service, RELAY_ROLE].map((role) => escapeIdentifier(role)).join(', ')
  await client.query(`revoke all on database ${escapeIdentifier(name)} from public`)
  await client.query(`grant connect on database ${escapeIdentifier(name)} to ${connecting}`)
}

async function ensureRole(
  client: Client,
  state: State,
  { role, password, renew }: { role: string; password: string; renew: boolean },
): Promise<void> {
  const login = `${escapeIdentifier(role)} login password ${escapeLiteral(password)}`
  if (!state.roles.includes(role)) {
    await client.query(`create role ${login}`)
    state.roles.push(role)
  } else if (renew) {
    await client.query(`alter role ${login}`)
  }
}
