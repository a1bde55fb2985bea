import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { fromSource, stack, type TestDatabase, waitFor } from '@edp/testkit'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const readinessPattern = /listens at (http:\/\/[^"\s]+)/

/** A relay as a process of its own, so that it can be killed and stopped like one. */
export class RelayProcess {
  readonly #child: ChildProcess
  #output = ''

  constructor(database: Pick<TestDatabase, 'relayUrl'>, env: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, [...fromSource.args, main], {
      env: {
        PATH: process.env['PATH'],
        ...fromSource.env,
        HTTP_PORT: '0',
        KAFKA_BROKERS: stack().kafkaBrokers.join(','),
        RABBITMQ_URL: stack().rabbitmqUrl,
        OUTBOX_DATABASES: JSON.stringify({ counters: database.relayUrl }),
        OUTBOX_LEASE_MS: '2000',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString()
      })
    }
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#output
  }

  /** Waits until it has printed this. */
  async printed(text: string): Promise<void> {
    await waitFor(() => this.#output, {
      message: `the relay prints "${text}"`,
      until: (output) => output.includes(text),
    })
  }

  /** Waits until it answers, and gives where. */
  async url(): Promise<string> {
    await this.printed('listens at')
    return readinessPattern.exec(this.#output)?.[1] ?? ''
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits until it has ended; gives how. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) await once(this.#child, 'close')
    return { code: this.#child.exitCode, signal: this.#child.signalCode }
  }

  /** Ends it in order; for tests that are done with it, also when it has ended. */
  async stop(): Promise<number | null> {
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    const { code } = await this.ended()
    return code
  }
}
