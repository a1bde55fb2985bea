import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fromSource } from './from-source.ts'
import { repositoryRoot } from './stack.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** An app that runs as a process of its own, from its sources. */
export interface SpawnedApp {
  readonly child: ChildProcess
  /** What it has printed so far. */
  output(): string
  /** Resolves when it has ended, in whatever way: with its exit code, null after a SIGKILL. */
  readonly ended: Promise<number | null>
  /** Sends it a signal, unless it has ended. @returns as `ended` */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** One that answers. */
export interface AppProcess extends SpawnedApp {
  /** `http://host:port` */
  readonly url: string
}

const running = new Set<ChildProcess>()

/** Starts the app in the folder `apps/<app>`. Nothing of the caller's environment is passed on but the PATH. */
export function spawnApp(app: string, env: Environment): SpawnedApp {
  const child = spawn(process.execPath, [...fromSource.args, 'src/main.ts'], {
    cwd: join(repositoryRoot(), 'apps', app),
    env: { PATH: process.env['PATH'], ...fromSource.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  }
  const ended = once(child, 'close').then(() => {
    running.delete(child)
    return child.exitCode
  })
  return {
    child,
    output: () => output,
    ended,
    end: (signal) => {
      child.kill(signal)
      return ended
    },
  }
}

/**
 * Starts an app on a port of its own, unless told, and waits until it says that it is ready.
 * @throws Error with what it has printed when it ends before
 */
export async function startApp(app: string, env: Environment): Promise<AppProcess> {
  const started = spawnApp(app, { HTTP_PORT: '0', ...env })
  const ready = Promise.withResolvers<string>()
  started.child.stdout?.on('data', () => {
    const output = started.output()
    const url = /listens at (http:\/\/[^"\s]+)/.exec(output)?.[1]
    if (url !== undefined && output.includes('"ready"')) ready.resolve(url)
  })
  const url = await Promise.race([ready.promise, started.ended])
  if (typeof url === 'string') return { ...started, url }
  throw new Error(`${app} ended before it was ready: ${started.output()}`)
}

/** Kills every app that still runs. For `afterEach` and `afterAll`. */
export function killApps(): void {
  for (const child of running) child.kill('SIGKILL')
}

/** A port that nobody listens at now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a server has a port')
  return address.port
}
