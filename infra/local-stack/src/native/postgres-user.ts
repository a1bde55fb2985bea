import { execFile } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, StackError } from '../stack-error.ts'

const run = promisify(execFile)

type User = { uid: number; gid: number }

/** How to start Postgres programs: as whom, and behind which command. */
export type Launcher = { prefix: readonly string[]; user?: User; owner?: User }

/**
 * Postgres refuses to run as root, so root starts it as `postgres` or `nobody`. That user may be unable
 * to reach a clone below a private folder such as /root; then it is given the one capability that opens
 * folders to it, which is still not root.
 */
export async function launcherFor(place: { program: string; folder: string }): Promise<Launcher> {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const owner = unprivilegedUser(readFileSync('/etc/passwd', 'utf8'))
  if (owner === undefined) {
    throw new StackError(
      'Postgres refuses to run as root, and there is neither a user postgres nor nobody to run it ' +
        'as: run the stack as an ordinary user.',
    )
  }
  if (isReachable(place.program) && isReachable(dirname(place.folder))) {
    return { prefix: [], user: owner, owner }
  }
  const prefix = [
    'setpriv',
    `--reuid=${owner.uid}`,
    `--regid=${owner.gid}`,
    '--clear-groups',
    '--inh-caps=+dac_read_search',
    '--ambient-caps=+dac_read_search',
  ]
  try {
    await run('setpriv', [...prefix.slice(1), place.program, '--version'], { cwd: '/' })
  } catch (error) {
    throw new StackError(
      `Postgres refuses to run as root, and the user it would run as cannot reach ${place.folder}: ` +
        'move the clone to a folder that others may enter, set STACK_DIR to one, or run the stack ' +
        `as an ordinary user. (${messageOf(error).trim()})`,
    )
  }
  return { prefix, owner }
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

/** Whether every folder above may be entered by everyone. */
function isReachable(path: string): boolean {
  const parent = dirname(path)
  if ((statSync(path).mode & 0o001) === 0) return false
  return parent === path || isReachable(parent)
}
