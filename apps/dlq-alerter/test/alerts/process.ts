import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fromSource } from '@edp/testkit'

const app = join(import.meta.dirname, '..', '..')

/** The alerter as a process of its own, from its sources. Nothing of the caller's environment is passed on but the PATH. */
export function spawnAlerter(env: Record<string, string>): {
  readonly child: ChildProcess
  readonly ended: Promise<unknown>
  readonly output: () => string
} {
  const child = spawn(process.execPath, [...fromSource.args, 'src/main.ts'], {
    cwd: app,
    env: { PATH: process.env['PATH'], ...fromSource.env, HTTP_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const onData = (chunk: Buffer): void => {
    output += chunk.toString()
  }
  child.stdout.on('data', onData)
  child.stderr.on('data', onData)
  return { child, ended: once(child, 'close'), output: () => output }
}
