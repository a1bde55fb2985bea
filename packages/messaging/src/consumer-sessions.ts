import { AppError, type Component, fullJitter, type HealthReport, sleep } from '@edp/runtime'
import { BatchLane } from './batch-lane.ts'
import type { Share } from './making-room.ts'
import type { ConsumerOptions } from './subscription.ts'

/** One life of a broker's client, from its connection to its failure or stop. */
export interface ConsumerSession {
  /** Consumes until the session is stopped. @throws what made it end */
  run(): Promise<void>
  /** Ends the batch that runs, acknowledges what is handled, and disconnects. */
  stop(): Promise<void>
  /** Messages are coming in: `report` can say how it goes. */
  readonly isConsuming: boolean
  /** They came in once: the next failure is the first one again. */
  readonly hasConsumed: boolean
  report(): HealthReport
}

export interface ConsumerSessionsOptions extends ConsumerOptions {
  /** What its health is called; default the consumer's name. */
  name?: string
  /** Where another class of the consumer's messages has the first claim to the cores. */
  share?: Share
  openSession(lane: BatchLane): ConsumerSession
  /** Whether an error goes away by itself. */
  isOutage(error: unknown): boolean
  /** What a consumer that does not consume says of itself: `not in the group`. */
  absence: string
}

const reconnectBackoff = { baseMs: 200, capMs: 5000 }

/** Makes the component of a consumer, which reports to the health of its process. */
export function createConsumerSessions(options: ConsumerSessionsOptions): Component {
  const sessions = new ConsumerSessions(options)
  options.health.register(sessions.name, () => sessions.report())
  return sessions
}

/**
 * Keeps a consumer alive: one session after the other, each with a new client, so that nothing of an outage lives on in it.
 * Consumes once its Postgres answers, is degraded while its broker is away, and stops for good, loudly, only at an error of its
 * client that no outage explains: never for a message.
 */
class ConsumerSessions implements Component {
  readonly name: string
  readonly #options: ConsumerSessionsOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #session: ConsumerSession | undefined
  #crash: AppError | undefined
  #outage: unknown

  constructor(options: ConsumerSessionsOptions) {
    this.name = options.name ?? options.consumer.name
    this.#options = options
  }

  /** Does not wait for the broker: a service is ready without it. */
  async start(): Promise<void> {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'))
    await this.#session?.stop()
    await this.#running
  }

  report(): HealthReport {
    if (this.#crash) return { status: 'unhealthy', detail: this.#crash.message }
    if (this.#session?.isConsuming) return this.#session.report()
    const reason = this.#outage instanceof Error ? this.#outage.message : 'connecting'
    return { status: 'degraded', detail: `${this.#options.absence}: ${reason}` }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    for (let failures = 0; !signal.aborted && !this.#crash; ) {
      const session = this.#openSession()
      this.#session = session
      const error = await this.#endOf(session)
      // Before anything else: what it has in hand is on its way to somebody else already.
      await session.stop()
      if (signal.aborted || this.#crash) return
      if (!(error instanceof AppError) && !this.#options.isOutage(error)) {
        this.#fail(error)
        return
      }
      failures = session.hasConsumed ? 1 : failures + 1
      await this.#pause(error, failures)
    }
  }

  /** Lives a session; gives what made it end. */
  async #endOf(session: ConsumerSession): Promise<unknown> {
    try {
      await this.#untilReady()
      if (!this.#stopping.signal.aborted) await session.run()
      return undefined
    } catch (error) {
      return error
    }
  }

  async #pause(reason: unknown, failures: number): Promise<void> {
    this.#outage = reason
    const delayMs = fullJitter({ attempt: failures, ...reconnectBackoff })
    const { logger } = this.#options
    logger.warn({ err: reason, failures, delayMs }, 'cannot consume, will try again')
    await sleep(delayMs, this.#stopping.signal).catch(() => undefined)
  }

  async #untilReady(): Promise<void> {
    try {
      await this.#options.pipeline.ready()
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      const message = `the database does not answer: ${reason}`
      throw new AppError('not-ready', message, { retry: 'transient-everything', cause: error })
    }
  }

  #openSession(): ConsumerSession {
    return this.#options.openSession(new BatchLane(this.#options))
  }

  #fail(error: unknown): void {
    if (this.#crash) return
    const reason = error instanceof Error ? error.message : String(error)
    this.#crash =
      error instanceof AppError
        ? error
        : new AppError('consumer-crashed', `${this.name} has stopped: ${reason}`, {
            retry: 'permanent',
            cause: error,
          })
    // Not awaited: it waits for the batch that is just failing. What was handled is acknowledged.
    void this.#session?.stop()
    this.#options.onCrash(this.#crash)
  }
}
