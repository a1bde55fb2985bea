import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export type SandboxProcess = {
  url: string
  output(): string
  /** Ends it with a signal and gives its exit code, null after a SIGKILL. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** The environment alone decides what comes of it, so nothing of the caller's is passed on but the PATH. */
export function spawnSandbox(env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, ['--conditions=source', 'src/main.ts'], {
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Starts the sandbox as a process on a port of its own and waits until it listens. */
export async function startSandbox(env: Record<string, string>): Promise<SandboxProcess> {
  const child = spawnSandbox({ HTTP_PORT: '0', ...env })
  let output = ''
  const listening = Promise.withResolvers<string>()
  const onData = (chunk: Buffer): void => {
    output += chunk.toString()
    const url = /listens at (http:\/\/[^"]+)/.exec(output)?.[1]
    if (url !== undefined && output.includes('"ready"')) listening.resolve(url)
  }
  child.stdout?.on('data', onData)
  child.stderr?.on('data', onData)
  const closed = once(child, 'close')
  void closed.then(() => listening.reject(new Error(`the sandbox ended: ${output}`)))
  listening.promise.catch(() => undefined)
  return {
    url: await listening.promise,
    output: () => output,
    async end(signal) {
      child.kill(signal)
      await closed
      return child.exitCode
    },
  }
}
