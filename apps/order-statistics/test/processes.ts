import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fromSource, waitFor } from '@edp/testkit'

const running: ChildProcess[] = []

/** Kills every process that was started. For `afterAll`. */
export function killProcesses(): void {
  for (const child of running.splice(0)) child.kill('SIGKILL')
}

/** Starts the service as a process of its own, from its sources. */
export function startProcess(env: Record<string, string>): {
  child: ChildProcess
  output: () => string
} {
  const child = spawn(process.execPath, [...fromSource.args, 'src/main.ts'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env['PATH'], ...fromSource.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.push(child)
  let output = ''
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return { child, output: () => output }
}

/** Starts the service and waits until it is ready, and consumes from both brokers. */
export async function startReady(
  env: Record<string, string>,
): Promise<{ child: ChildProcess; url: string }> {
  const { child, output } = startProcess({ HTTP_PORT: '0', ...env })
  const url = await waitFor(() => /listens at (http:\/\/[^"\s]+)/.exec(output())?.[1], {
    message: 'the service listens',
    timeoutMs: 60_000,
  })
  await waitFor(
    async () => {
      const response = await fetch(`${url}/health/ready`)
      return response.ok && (await response.text()).includes('"status":"ok"')
    },
    { message: `the service is ready, its output was ${output()}`, timeoutMs: 60_000 },
  )
  return { child, url }
}
