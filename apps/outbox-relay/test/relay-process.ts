import { type SpawnedApp, spawnApp, stack, type TestDatabase, waitFor } from '@edp/testkit'

const readinessPattern = /listens at (http:\/\/[^"\s]+)/

/** A relay as a process of its own, so that it can be killed and stopped like one. */
export class RelayProcess {
  readonly #app: SpawnedApp

  constructor(database: Pick<TestDatabase, 'relayUrl'>, env: Record<string, string> = {}) {
    this.#app = spawnApp('outbox-relay', {
      HTTP_PORT: '0',
      KAFKA_BROKERS: stack().kafkaBrokers.join(','),
      RABBITMQ_URL: stack().rabbitmqUrl,
      OUTBOX_DATABASES: JSON.stringify({ counters: database.relayUrl }),
      OUTBOX_LEASE_MS: '2000',
      ...env,
    })
  }

  /** What it has printed so far. */
  get output(): string {
    return this.#app.output()
  }

  /** Waits until it has printed this. */
  async printed(text: string): Promise<void> {
    await waitFor(() => this.output, {
      message: `the relay prints "${text}"`,
      until: (output) => output.includes(text),
    })
  }

  /** Waits until it answers, and gives where. */
  async url(): Promise<string> {
    await this.printed('listens at')
    return readinessPattern.exec(this.output)?.[1] ?? ''
  }

  signal(signal: NodeJS.Signals): void {
    this.#app.child.kill(signal)
  }

  /** Waits until it has ended; gives how. */
  async ended(): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    const code = await this.#app.ended
    return { code, signal: this.#app.child.signalCode }
  }

  /** Ends it in order; for tests that are done with it, also when it has ended. */
  async stop(): Promise<number | null> {
    this.signal('SIGCONT')
    this.signal('SIGTERM')
    const { code } = await this.ended()
    return code
  }
}
