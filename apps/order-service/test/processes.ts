import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fromSource, waitFor } from '@edp/testkit'

const main = join(import.meta.dirname, '../src/main.ts')
const children = new Set<ChildProcess>()

/** Starts the service as a process of its own. */
export function start(env: Record<string, string | undefined>) {
  const child = spawn(process.execPath, [...fromSource.args, main], {
    env: { PATH: process.env['PATH'], NODE_ENV: 'test', ...fromSource.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const exited = once(child, 'exit').then(([code]: unknown[]) => code)
  return { process: child, exited, output: () => output }
}

/** Ends every process that this file has started. */
export function killProcesses(): void {
  for (const child of children) child.kill('SIGKILL')
  children.clear()
}

export async function freeUrl(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}`
}

export async function ready(url: string): Promise<void> {
  await waitFor(async () => (await fetch(`${url}/health/ready`)).ok, {
    message: 'the process is ready',
    timeoutMs: 30_000,
  })
}
