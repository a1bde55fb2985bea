import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { repositoryRoot } from './stack-settings.ts'

/** A server of the local stack. */
export type Server = 'postgres' | 'kafka' | 'rabbitmq' | 'redis'

/** Stops one server of the local stack in order, as an operator would. */
export async function stopServer(server: Server): Promise<void> {
  await stack('down', server)
}

/** Starts what is stopped of the local stack and waits until it answers. */
export async function startServers(): Promise<void> {
  await stack('up')
}

async function stack(...args: string[]): Promise<void> {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import=tsx', 'src/main.ts', ...args],
    { cwd: join(repositoryRoot, 'infra/local-stack'), stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`stack ${args.join(' ')} failed\n${output}`)
}
