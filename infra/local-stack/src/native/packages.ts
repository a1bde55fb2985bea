import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { progress, secondsSince } from '../progress.ts'
import { messageOf, StackError } from '../stack-error.ts'

const SCRIPT = fileURLToPath(new URL('../../install-packages.sh', import.meta.url))
const APT_GET = '/usr/bin/apt-get'
const OUTPUT_BYTES_MAX = 50_000_000
const LINES_SHOWN = 15

type Missing = {
  titles: readonly string[]
  packages: readonly string[]
  /** Yes or no by STACK_INSTALL; undefined: only as root. */
  allowed: boolean | undefined
}

/** Installs packages of Debian or Ubuntu where that is allowed; throws a sentence where it is not. */
export async function installPackages(missing: Missing): Promise<void> {
  const isRoot = process.getuid?.() === 0
  if (!existsSync(APT_GET) || !(missing.allowed ?? isRoot)) {
    throw new StackError(adviceFor(missing, process.platform, existsSync(APT_GET)))
  }
  const startedMs = performance.now()
  progress(
    `installing with apt-get, without starting any service: ${missing.packages.join(' ')} ...`,
  )
  const [command = 'sh', ...args] = [...(isRoot ? [] : ['sudo']), 'sh', SCRIPT, ...missing.packages]
  try {
    await promisify(execFile)(command, args, { maxBuffer: OUTPUT_BYTES_MAX })
  } catch (error) {
    const output = messageOf(error).trimEnd().split('\n').slice(-LINES_SHOWN).join('\n')
    throw new StackError(`apt-get could not install the packages:\n${output}`)
  }
  progress(`installed in ${secondsSince(startedMs)}`)
}

/** What a person can do about missing programs. */
export function adviceFor(missing: Missing, platform: string, hasApt: boolean): string {
  const lines = [`This machine lacks ${missing.titles.join(', ')}. Do one of these:`]
  if (hasApt) {
    const packages = missing.packages.map((name) =>
      name === 'java' ? 'openjdk-17-jre-headless' : name,
    )
    lines.push('run it again with STACK_INSTALL=yes, which installs them without starting services')
    lines.push(`install them: sudo apt-get install ${packages.join(' ')}`)
  } else if (platform === 'darwin') {
    const names: Record<string, string> = {
      java: 'openjdk',
      'rabbitmq-server': 'rabbitmq',
      'redis-server': 'redis',
    }
    lines.push(
      `install them: brew install ${missing.packages.map((name) => names[name] ?? name).join(' ')}`,
    )
  } else {
    lines.push('install them with the package manager of this system, on the PATH')
  }
  lines.push('start Docker, which the stack then uses instead')
  return lines.join('\n  - ')
}
