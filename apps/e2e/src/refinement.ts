import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { z } from 'zod'
import { repositoryRoot } from './stack-settings.ts'

const answer = z.object({ sagas: z.number(), problems: z.array(z.string()) })

/** How many sagas there are, and each way in which one is not what its log says. */
export type Replay = z.infer<typeof answer>

/**
 * The refinement check: has every saga of a database decided again from its log, by the order-service, which alone knows the
 * definitions.
 * @throws Error when that cannot be read
 */
export async function replaySagas(ordersUrl: string): Promise<Replay> {
  const child = spawn(process.execPath, ['--conditions=source', '--import=tsx', 'src/replay.ts'], {
    cwd: join(repositoryRoot, 'apps/order-service'),
    env: { PATH: process.env['PATH'], DATABASE_URL: ordersUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`the sagas cannot be decided again\n${errors}`)
  return answer.parse(JSON.parse(output))
}
