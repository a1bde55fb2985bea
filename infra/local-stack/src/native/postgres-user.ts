import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { progress } from '../progress.ts'
import { StackError } from '../stack-error.ts'
import { layout } from './server.ts'

export type User = { uid: number; gid: number }

/** As whom Postgres runs, from which binaries and in which folder. */
export type PostgresPlace = { user?: User; bin: string; home: string }

/**
 * Postgres refuses to run as root, so root starts it as `postgres` or `nobody`. That user cannot reach
 * a clone below a private folder such as /root, and a capability that opens folders does not help
 * (Postgres asks with access(2), which ignores it): then binaries and data lie outside of the clone.
 */
export function postgresPlace(dir: string, native: string): PostgresPlace {
  const home = layout(dir).data('postgres')
  if (process.getuid?.() !== 0) {
    mkdirSync(home, { recursive: true, mode: 0o700 })
    return { bin: join(native, 'bin'), home }
  }
  const user = unprivilegedUser(readFileSync('/etc/passwd', 'utf8'))
  if (user === undefined) {
    throw new StackError(
      'Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it ' +
        'as: run the stack as an ordinary user.',
    )
  }
  mkdirSync(dirname(home), { recursive: true })
  const isInside = isReachable(native) && isReachable(dirname(home))
  const place = isInside ? { bin: join(native, 'bin'), home } : outside(dir, native)
  mkdirSync(place.home, { recursive: true })
  chmodSync(place.home, 0o700)
  chownSync(place.home, user.uid, user.gid)
  return { user, ...place }
}

/** The folder that stands in where the clone cannot be reached. It is one for each stack. */
export function outsideFolder(dir: string): string {
  return `/var/tmp/edp-stack-${shortHash(dir)}`
}

function outside(dir: string, native: string): { bin: string; home: string } {
  const folder = outsideFolder(dir)
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o755 })
  const { uid } = lstatSync(folder)
  if (uid !== 0 || !lstatSync(folder).isDirectory()) {
    throw new StackError(`${folder} belongs to somebody else: remove it, or set STACK_DIR.`)
  }
  const copy = join(folder, `postgres-${shortHash(native)}`)
  if (!existsSync(copy)) {
    progress(`Postgres runs as another user, who cannot enter ${dir}: it lives in ${folder}`)
    rmSync(`${copy}.new`, { recursive: true, force: true })
    cpSync(native, `${copy}.new`, { recursive: true, verbatimSymlinks: true })
    renameSync(`${copy}.new`, copy)
  }
  return { bin: join(copy, 'bin'), home: join(folder, 'data') }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}

/** The user `postgres`, else `nobody`, of a passwd file. */
export function unprivilegedUser(passwd: string): User | undefined {
  const entries = passwd.split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const entry = entries.find(([candidate]) => candidate === name)
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  return undefined
}

/** Whether everyone may enter the folder and every folder above it. */
function isReachable(folder: string): boolean {
  const parent = dirname(folder)
  if ((statSync(folder).mode & 0o001) === 0) return false
  return parent === folder || isReachable(parent)
}
