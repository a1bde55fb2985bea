import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fromSource } from '@edp/testkit'

/** An app that runs as a process of its own. */
export type AppProcess = {
  readonly url: string
  readonly child: ChildProcess
  output(): string
  /** Sends a signal and gives the exit code, null after a SIGKILL. */
  end(signal: NodeJS.Signals): Promise<number | null>
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<unknown>
}

const apps = join(import.meta.dirname, '..', '..')

/** Spawns an app from its sources. Nothing of the caller's environment is passed on but the PATH. */
export function spawnApp(app: string, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [...fromSource.args, 'src/main.ts'], {
    cwd: join(apps, app),
    env: { PATH: process.env['PATH'], ...fromSource.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Starts an app on a port of its own, unless told, and waits until it is ready. */
export async function startApp(app: string, env: Record<string, string>): Promise<AppProcess> {
  const child = spawnApp(app, { HTTP_PORT: '0', ...env })
  let output = ''
  const ready = Promise.withResolvers<string>()
  const onData = (chunk: Buffer): void => {
    output += chunk.toString()
    const url = /listens at (http:\/\/[^"]+)/.exec(output)?.[1]
    if (url !== undefined && output.includes('"ready"')) ready.resolve(url)
  }
  child.stdout?.on('data', onData)
  child.stderr?.on('data', onData)
  const ended = once(child, 'close')
  void ended.then(() => ready.reject(new Error(`${app} has ended: ${output}`)))
  ready.promise.catch(() => undefined)
  return {
    url: await ready.promise,
    child,
    output: () => output,
    async end(signal) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal)
        await ended
      }
      return child.exitCode
    },
    ended,
  }
}

/** A port that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a server has a port')
  return address.port
}
