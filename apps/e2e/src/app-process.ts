import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { repositoryRoot } from './stack-settings.ts'

/** Every app of the system. */
export const appNames = [
  'payment-gateway-sandbox',
  'smtp-sandbox',
  'order-service',
  'inventory-service',
  'payment-service',
  'notification-service',
  'dlq-alerter',
  'order-statistics',
  'outbox-relay',
] as const
export type AppName = (typeof appNames)[number]

/** What Node compiled for one start serves the next: each costs a quarter less CPU. */
const compileCache = join(repositoryRoot, 'node_modules/.cache/node-compile')

/** None outlives whoever started it, not even when that ends by an error that nobody caught. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export interface AppOptions {
  app: AppName
  env: Record<string, string>
  logFile: string
  /** Where the repository lies that it was built in; default this one. */
  folder?: string
}

/** One process of a built app, as it would be deployed: `node dist/main.js` and its environment. */
export class AppProcess {
  readonly app: AppName
  readonly url: string
  readonly #options: AppOptions
  #child: ChildProcess | undefined

  constructor(options: AppOptions) {
    this.app = options.app
    this.url = `http://127.0.0.1:${options.env['HTTP_PORT']}`
    this.#options = options
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && !this.#child.signalCode
  }

  /** Starts the process; does not wait until it is ready. */
  start(): void {
    if (this.running) throw new Error(`${this.app} is running already`)
    mkdirSync(dirname(this.#options.logFile), { recursive: true })
    const log = openSync(this.#options.logFile, 'a')
    const child = spawn(process.execPath, ['--enable-source-maps', 'dist/main.js'], {
      cwd: join(this.#options.folder ?? repositoryRoot, 'apps', this.app),
      env: {
        PATH: process.env['PATH'],
        NODE_ENV: 'production',
        NODE_COMPILE_CACHE: compileCache,
        ...this.#options.env,
      },
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    running.add(child)
    child.once('exit', () => running.delete(child))
    this.#child = child
  }

  /** @throws Error with the end of its log when it ends or is not ready in time */
  async ready(timeoutMs = 90_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (Date.now() < deadline) {
      if (!this.running) throw new Error(`${this.app} ended while starting\n${this.logTail()}`)
      if (await answersReady(this.url)) return
      await sleep(50)
    }
    throw new Error(`${this.app} was not ready within ${timeoutMs} ms\n${this.logTail()}`)
  }

  /** Ends the process at once, as a crash would, and waits until it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Ends the process in order. @returns its exit code */
  async stop(): Promise<number | null> {
    return await this.#end('SIGTERM')
  }

  /** Sends a signal and does not wait: SIGSTOP and SIGCONT freeze and thaw it. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** The last lines of its log. */
  logTail(lines = 20): string {
    return readFileSync(this.#options.logFile, 'utf8')
      .trimEnd()
      .split('\n')
      .slice(-lines)
      .join('\n')
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (!child || !this.running) return child?.exitCode ?? null
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
    return child.exitCode
  }
}

/** Whoever was given one may not listen yet. */
const givenPorts = new Set<number>()

/** A port that is free now and given to nobody else here, outside the range from which the system takes ports for connections. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    if (givenPorts.has(port) || !(await canListen(port))) continue
    givenPorts.add(port)
    return port
  }
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer()
  const listening = once(server, 'listening').then(
    () => true,
    () => false,
  )
  server.listen(port, '127.0.0.1')
  const free = await listening
  if (free) await new Promise((resolve) => server.close(resolve))
  return free
}

async function answersReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
