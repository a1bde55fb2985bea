import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { settingsOf } from './app-settings.ts'
import { ensureDatabases } from './databases.ts'
import { addPrepared, readPrepared } from './prepared.ts'
import { progress, secondsSince } from './progress.ts'
import type { Endpoints, Settings } from './settings.ts'
import { messageOf, StackError } from './stack-error.ts'
import { apps, type App } from './topology.ts'

const run = promisify(execFile)

const packageSchema = z.object({ scripts: z.record(z.string(), z.string()).optional() })

/**
 * Makes databases and roles and runs the apps' migrations. What was prepared is remembered together
 * with the identity of the database, so a second time costs one query, and a new database gets all.
 */
export async function prepareDatabases(endpoints: Endpoints, settings: Settings): Promise<void> {
  const prepared = readPrepared(settings)
  const stamps = new Map(apps.map((app) => [app.name, stampOf(app, settings)]))
  const markOf = (app: string, identity: string) => `${identity}/${stamps.get(app)}`
  const identities = await ensureDatabases(endpoints.postgresAdminUrl, {
    password: settings.password,
    isCurrent: (app, identity) => prepared[app] === markOf(app, identity),
  })
  const pending = apps.filter(({ name }) => {
    const identity = identities.get(name)
    return identity !== undefined && prepared[name] !== markOf(name, identity)
  })
  const results = await Promise.allSettled(
    pending.map(async (app) => {
      await migrate(app, endpoints, settings)
      addPrepared(settings, { [app.name]: markOf(app.name, identities.get(app.name) ?? '') })
    }),
  )
  const problems = results.flatMap((result) =>
    result.status === 'rejected' ? [messageOf(result.reason)] : [],
  )
  if (problems.length > 0) throw new StackError(problems.join('\n'))
}

/** Changes with the migrations, the script that runs them and the password of the roles. */
function stampOf(app: App, settings: Settings): string {
  const folder = join(settings.root, 'apps', app.name, 'migrations')
  const hash = createHash('sha256').update(migrateScript(app, settings) ?? '')
  hash.update(settings.password)
  if (existsSync(folder)) {
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted()
    for (const file of files) hash.update(file.slice(folder.length)).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 16)
}

function migrateScript(app: App, settings: Settings): string | undefined {
  const path = join(settings.root, 'apps', app.name, 'package.json')
  if (!existsSync(path)) return undefined
  return packageSchema.parse(JSON.parse(readFileSync(path, 'utf8'))).scripts?.['migrate']
}

/** Runs the script as `pnpm run` would, without the second that another pnpm costs. */
async function migrate(app: App, endpoints: Endpoints, settings: Settings): Promise<void> {
  const script = migrateScript(app, settings)
  if (script === undefined) return
  const startedMs = performance.now()
  const cwd = join(settings.root, 'apps', app.name)
  const bins = [cwd, settings.root].map((folder) => join(folder, 'node_modules', '.bin'))
  try {
    await run('sh', ['-c', script], {
      cwd,
      env: {
        ...process.env,
        ...settingsOf(app, endpoints, settings),
        PATH: [...bins, process.env['PATH'] ?? ''].join(delimiter),
      },
    })
  } catch (error) {
    throw new StackError(`The migrations of ${app.name} failed:\n${outputOf(error)}`)
  }
  progress(`migrated ${app.name} in ${secondsSince(startedMs)}`)
}

const failedSchema = z.object({ stdout: z.string(), stderr: z.string() })

const LINES_SHOWN = 20

function outputOf(error: unknown): string {
  const failed = failedSchema.safeParse(error)
  const text = failed.success ? failed.data.stdout + failed.data.stderr : ''
  return text.trim() === ''
    ? messageOf(error)
    : text.trimEnd().split('\n').slice(-LINES_SHOWN).join('\n')
}
