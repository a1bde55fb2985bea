import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { repositoryRoot } from './stack-settings.ts'

/** How many sagas there are, and each way in which one is not what its log says. */
export interface Replay {
  sagas: number
  /** Each begins with the saga's id and a colon. */
  problems: string[]
}

/**
 * The refinement check: has every saga of a database decided again from its log, by the order-service, which alone knows the
 * definitions; `folder` is the repository that has it.
 * @throws Error when that cannot be read
 */
export async function replaySagas(
  ordersUrl: string,
  folder: string = repositoryRoot,
): Promise<Replay> {
  const child = spawn(process.execPath, ['--conditions=source', '--import=tsx', 'src/replay.ts'], {
    cwd: join(folder, 'apps/order-service'),
    env: { PATH: process.env['PATH'], DATABASE_URL: ordersUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  await once(child, 'close')
  return readReplay(output, errors)
}

/**
 * Reads what the order-service's `replay` printed.
 * @throws Error when it could not decide them
 */
export function readReplay(output: string, errors: string): Replay {
  const summary = /^(\d+) sagas decided again, (\d+) problems$/m.exec(output)
  if (!summary) throw new Error(`the sagas cannot be decided again\n${errors}`)
  const problems = errors.split('\n').filter((text) => /^[0-9a-f-]{36}: /.test(text))
  if (problems.length !== Number(summary[2])) throw new Error(`${summary[0]}\n${errors}`)
  return { sagas: Number(summary[1]), problems }
}
