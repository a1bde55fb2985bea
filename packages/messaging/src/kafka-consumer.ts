import { AppError, type Component, fullJitter, type HealthReport, sleep } from '@edp/runtime'
import { BatchLane } from './batch-lane.ts'
import { createKafkaClient, isOutage } from './kafka-client.ts'
import { KafkaSession } from './kafka-session.ts'
import { type ConsumerOptions, groupOf, topicsOf } from './subscription.ts'

/** What `createKafkaConsumer` needs. */
export interface KafkaConsumerOptions extends ConsumerOptions {
  brokers: readonly string[]
  clientId?: string
}

const reconnectBackoff = { baseMs: 200, capMs: 5000 }

/**
 * Feeds the messages of a consumer's topics to its pipeline: everything that one fetch brought is one transaction, and
 * an offset is committed only after it. It consumes once its Postgres answers, survives outages of Kafka and Postgres by
 * itself (degraded), and stops for good, loudly, at a message that can never be handled.
 *
 * `start` does not wait for the broker: a service is ready without it.
 * @throws Error when the consumer handles nothing that comes over Kafka
 */
export function createKafkaConsumer(options: KafkaConsumerOptions): Component {
  if (topicsOf(options).length === 0) throw new Error(`${options.consumer.name} has no topic`)
  const consumer = new KafkaConsumer(options)
  options.health.register(options.consumer.name, () => consumer.report())
  return consumer
}

class KafkaConsumer implements Component {
  readonly name: string
  readonly #options: KafkaConsumerOptions
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined
  #session: KafkaSession | undefined
  #crash: AppError | undefined
  #outage: unknown

  constructor(options: KafkaConsumerOptions) {
    this.name = options.consumer.name
    this.#options = options
  }

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
    if (this.#session?.joined) return this.#session.report()
    const reason = this.#outage instanceof Error ? this.#outage.message : 'joining'
    return { status: 'degraded', detail: `not in the group: ${reason}` }
  }

  /** One session after the other: each has a new client, so that nothing of an outage lives on in it. */
  async #run(): Promise<void> {
    const { signal } = this.#stopping
    const { logger } = this.#options
    for (let failures = 0; !signal.aborted && !this.#crash; ) {
      const session = this.#openSession()
      this.#session = session
      try {
        await this.#untilReady()
        if (signal.aborted) return
        await session.run()
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof AppError) && !isOutage(error)) {
          this.#fail(error)
          return
        }
        failures = session.hasJoined ? 1 : failures + 1
        this.#outage = error
        const delayMs = fullJitter({ attempt: failures, ...reconnectBackoff })
        logger.warn({ err: error, failures, delayMs }, 'cannot consume, will try again')
        await sleep(delayMs, signal).catch(() => undefined)
      } finally {
        await session.stop()
      }
    }
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

  #openSession(): KafkaSession {
    const { brokers, clientId, pipeline, logger } = this.#options
    const lane = new BatchLane({
      ...this.#options,
      pipeline,
      onFailure: (error) => this.#fail(error),
    })
    return new KafkaSession({
      kafka: createKafkaClient({ brokers, logger, clientId: clientId ?? this.name }),
      groupId: groupOf(this.#options),
      topics: topicsOf(this.#options),
      name: this.name,
      stallMs: this.#options.stallMs ?? 30_000,
      lane,
      logger,
    })
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
    // Not awaited: it waits for the batch that is just failing. The offsets of what was handled are committed.
    void this.#session?.stop()
    this.#options.onCrash(this.#crash)
  }
}
