import { gauge, type HealthReport, type Logger } from '@edp/runtime'
import type { Consumer as KafkajsConsumer, EachBatchPayload, IHeaders, Kafka } from 'kafkajs'
import type { BatchLane } from './batch-lane.ts'
import type { ConsumerSession } from './consumer-sessions.ts'
import type { IncomingMessage } from './incoming-message.ts'

export interface KafkaSessionOptions {
  kafka: Kafka
  groupId: string
  topics: readonly string[]
  /** The consumer, for metrics. */
  name: string
  lane: BatchLane
  logger: Logger
  stallMs: number
  sessionTimeoutMs: number
}

const rebalanceTimeoutMs = 60_000
// So that two may be lost.
const heartbeatsPerSession = 3
const housekeepingIntervalMs = 1000
// How long a fetch waits for a first message. A stop and a rejoin wait for it too.
const fetchWaitMs = 250
// At least one record batch as large as the broker takes (1 MiB): a smaller limit would never get past it.
const fetchBytesPerPartitionMax = 1024 * 1024 + 64 * 1024
// Above the sum of the partitions: the broker fills them in order, so the last ones would starve behind a backlog.
const fetchBytesMax = 64 * fetchBytesPerPartitionMax
// With a worker for each partition all batches of a fetch are delivered in the same tick.
const partitionsConcurrent = 64

const lag = gauge('edp_consumer_lag_messages', 'Messages behind the newest, when last fetched', [
  'consumer',
  'topic',
  'partition',
])

/** One life of a kafkajs consumer, from its connection to its crash or stop. */
export class KafkaSession implements ConsumerSession {
  readonly #options: KafkaSessionOptions
  readonly #consumer: KafkajsConsumer
  readonly #crashed = Promise.withResolvers<never>()
  #payload: EachBatchPayload | undefined
  #generation = 0
  #joined = false
  #rebalance: unknown
  #lastFetchAt = performance.now()
  #unanswered: string | undefined
  #isKeepingHouse = false
  #housekeeping: NodeJS.Timeout | undefined
  #stopped: Promise<void> | undefined

  constructor(options: KafkaSessionOptions) {
    this.#options = options
    this.#consumer = options.kafka.consumer({
      groupId: options.groupId,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: rebalanceTimeoutMs,
      heartbeatInterval: Math.floor(options.sessionTimeoutMs / heartbeatsPerSession),
      maxWaitTimeInMs: fetchWaitMs,
      maxBytesPerPartition: fetchBytesPerPartitionMax,
      maxBytes: fetchBytesMax,
      allowAutoTopicCreation: false,
      // It would start again inside: whoever owns the session starts a new one instead.
      retry: { retries: 3, initialRetryTime: 100, restartOnFailure: async () => false },
    })
    this.#crashed.promise.catch(() => undefined)
    this.#listen()
  }

  get isConsuming(): boolean {
    return this.#joined
  }

  get hasConsumed(): boolean {
    return this.#generation > 0
  }

  /** Consumes until the session is stopped. @throws what made it crash */
  async run(): Promise<void> {
    const consumer = this.#consumer
    await consumer.connect()
    await consumer.subscribe({ topics: [...this.#options.topics], fromBeginning: true })
    if (this.#stopped) return
    this.#housekeeping = setInterval(() => void this.#keepHouse(), housekeepingIntervalMs)
    await consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: partitionsConcurrent,
      eachBatch: (payload) => this.#eachBatch(payload),
    })
    // A stop that came while it was joining found nothing to leave.
    if (this.#stopped) await this.#consumer.disconnect()
    await this.#crashed.promise
  }

  /** Ends the batch that runs, commits its offsets and leaves the group. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  report(): HealthReport {
    const report = this.#options.lane.report()
    const silentMs = performance.now() - this.#lastFetchAt
    if (report.status !== 'ok' || this.#options.lane.busy) return report
    if (this.#unanswered !== undefined) {
      return { status: 'degraded', detail: `Kafka does not answer: ${this.#unanswered}` }
    }
    if (silentMs < this.#options.stallMs) return report
    return { status: 'unhealthy', detail: `nothing fetched for ${Math.round(silentMs / 1000)} s` }
  }

  async #stop(): Promise<void> {
    await this.#options.lane.stop()
    clearInterval(this.#housekeeping)
    await this.#commit()
    this.#joined = false
    await this.#consumer.disconnect().catch((error: unknown) => this.#debug(error, 'disconnecting'))
    this.#crashed.reject(new Error('stopped'))
  }

  #listen(): void {
    const { CRASH, FETCH, GROUP_JOIN, REBALANCING, REQUEST_TIMEOUT } = this.#consumer.events
    this.#consumer.on(CRASH, ({ payload }) => {
      this.#joined = false
      this.#crashed.reject(payload.error)
    })
    this.#consumer.on(FETCH, () => {
      this.#lastFetchAt = performance.now()
      this.#unanswered = undefined
    })
    this.#consumer.on(REQUEST_TIMEOUT, ({ payload }) => {
      this.#unanswered = payload.apiName
    })
    this.#consumer.on(GROUP_JOIN, () => {
      this.#generation += 1
      this.#rebalance = undefined
      this.#joined = true
      this.#lastFetchAt = performance.now()
      lag.reset()
    })
    // Sent before kafkajs asks to join again, so the next owner of a partition begins where we ended.
    this.#consumer.on(REBALANCING, () => void this.#commit())
  }

  async #eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload
    const generation = this.#generation
    this.#payload = payload
    const messages = incomingMessages(batch)
    await this.#options.lane.take({
      messages,
      settle: (count) => {
        const last = batch.messages[count - 1]
        // After a rejoin the partition may belong to another member, or be read again from elsewhere.
        if (last === undefined || generation !== this.#generation) return
        payload.resolveOffset(last.offset)
        const labels = { topic: batch.topic, partition: String(batch.partition) }
        const behind = Number(BigInt(batch.highWatermark) - BigInt(last.offset)) - 1
        lag.set({ consumer: this.#options.name, ...labels }, behind)
      },
    })
    if (this.#rebalance instanceof Error) throw this.#rebalance
  }

  /** Every second: a heartbeat, since kafkajs sends none while a batch is being handled, and the offsets. */
  async #keepHouse(): Promise<void> {
    const payload = this.#payload
    // A broker that does not answer would otherwise find a request for every second when it is back.
    if (payload === undefined || !this.#joined || this.#isKeepingHouse) return
    this.#isKeepingHouse = true
    try {
      if (this.#options.lane.busy) await payload.heartbeat()
    } catch (error) {
      this.#debug(error, 'heartbeat')
      if (mustRejoin(error)) {
        // What has not begun is given up; kafkajs joins again when its batches have ended.
        this.#rebalance = error
        this.#options.lane.interrupt()
      }
    }
    await this.#commit()
    this.#isKeepingHouse = false
  }

  /** Commits what was resolved since the last time. Failing is harmless: the inbox knows what comes again. */
  async #commit(): Promise<void> {
    const payload = this.#payload
    if (payload === undefined) return
    try {
      const offsets = payload.uncommittedOffsets()
      if (offsets.topics.length > 0) await payload.commitOffsetsIfNecessary(offsets)
    } catch (error) {
      this.#debug(error, 'committing offsets')
    }
  }

  #debug(error: unknown, what: string): void {
    this.#options.logger.debug({ err: error }, `${what} failed`)
  }
}

const rejoinTypes = new Set([
  'REBALANCE_IN_PROGRESS',
  'NOT_COORDINATOR_FOR_GROUP',
  'ILLEGAL_GENERATION',
  'UNKNOWN_MEMBER_ID',
])

function mustRejoin(error: unknown): boolean {
  return error instanceof Error && 'type' in error && rejoinTypes.has(String(error.type))
}

function incomingMessages(batch: EachBatchPayload['batch']): IncomingMessage[] {
  const place = `${batch.topic}/${batch.partition}@`
  return batch.messages.map((message) => ({
    transport: 'kafka',
    position: place + message.offset,
    headers: textHeaders(message.headers),
    body: message.value ?? empty,
    key: message.key,
    recordedAtMs: Number(message.timestamp),
  }))
}

const empty = Buffer.alloc(0)

/**
 * Header values as text; of a repeated header the last value, as Kafka's own clients read it. A producer may send a header without a
 * value, which the client's types do not know: it is left out.
 */
export function textHeaders(
  headers: Readonly<Record<string, IHeaders[string] | null>> | undefined,
): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    const last = Array.isArray(value) ? value.at(-1) : value
    if (last !== undefined && last !== null)
      texts[name] = typeof last === 'string' ? last : last.toString()
  }
  return texts
}
