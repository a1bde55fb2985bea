import { fullJitter, type HealthReport, Linger, type Logger, sleep } from '@edp/runtime'
import type { Pipeline } from './pipeline.ts'
import type { IncomingMessage } from './incoming-message.ts'
import type { Share } from './making-room.ts'

/** What one partition or queue delivered at once, in its order. */
export interface Delivery {
  readonly messages: readonly IncomingMessage[]
  /** Told after the commit that the first `count` messages are done; only now may they be acknowledged. */
  settle(count: number): void
}

export interface BatchLaneOptions {
  pipeline: Pick<Pipeline, 'handle'>
  logger: Logger
  /** The longest wait after a batch, in which the next one grows; 30 ms for each thousand messages a second. Default 30. */
  lingerMsMax?: number
  /** How many messages share a transaction; default 1000. What is more than that goes into two at a time. */
  batchMessagesMax?: number
  /** When handling without an answer becomes unhealthy; default 30 s. */
  stallMs?: number
  /** Where another class of messages has the first claim to the cores. */
  share?: Share
}

const retryBackoff = { baseMs: 100, capMs: 5000 }
// A batch as large as this was no batch that a wait could have grown.
const busyMessages = 500

interface Waiting {
  readonly delivery: Delivery
  readonly done: () => void
}

/**
 * Where deliveries wait for a transaction: everything that has arrived is one, over all partitions. When that would be too
 * large, two run at a time, each with partitions of its own, so that the process reads while Postgres writes. While nothing can be handled (Postgres is away) it pauses and tries the same batch again in place; no attempt is used.
 */
export class BatchLane {
  readonly #options: BatchLaneOptions
  readonly #linger: Linger
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined
  #interrupted = new AbortController()
  #stopped = false
  #pause: { error: unknown; since: number } | undefined
  #handlingSince: number | undefined

  constructor(options: BatchLaneOptions) {
    this.#options = options
    this.#linger = new Linger({ msPerThousand: 30, maxMs: options.lingerMsMax ?? 30 })
  }

  /**
   * Resolves when every message of the delivery is handled and settled, or when the lane was interrupted or stopped
   * before: what is not settled then has to be delivered again.
   */
  take(delivery: Delivery): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    this.#options.share?.took()
    return new Promise((done) => {
      this.#waiting.push({ delivery, done })
      this.#running ??= this.#run()
    })
  }

  get busy(): boolean {
    return this.#running !== undefined
  }

  /** Gives up what has not begun and what is being tried again; a transaction that runs ends by itself. */
  interrupt(): void {
    this.#interrupted.abort(new Error('interrupted'))
  }

  /** Interrupts, and resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.interrupt()
    await this.#running
  }

  /** Degraded while paused on a known cause, unhealthy when handling does not end. */
  report(): HealthReport {
    if (this.#pause) {
      const seconds = secondsSince(this.#pause.since)
      return {
        status: 'degraded',
        detail: `paused for ${seconds} s: ${reasonOf(this.#pause.error)}`,
      }
    }
    const since = this.#handlingSince
    if (since !== undefined && performance.now() - since > (this.#options.stallMs ?? 30_000)) {
      return { status: 'unhealthy', detail: `nothing handled for ${secondsSince(since)} s` }
    }
    return { status: 'ok' }
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // All partitions of a fetch are delivered in the same tick: they go into one transaction.
      await nextTick()
      const round = this.#waiting
      this.#waiting = []
      this.#interrupted = new AbortController()
      if (this.#stopped) this.interrupt()
      const handled = await this.#handleRound(round.map(({ delivery }) => delivery))
      this.#linger.note(handled)
      const lingerMs = this.#linger.waitMs()
      if (handled < busyMessages && lingerMs >= 1 && !this.#stopped) await sleep(lingerMs)
      for (const { done } of round) done()
    }
    this.#running = undefined
  }

  /** How many messages were handled. */
  async #handleRound(deliveries: readonly Delivery[]): Promise<number> {
    const { batchMessagesMax = 1000 } = this.#options
    this.#handlingSince = performance.now()
    const shares = sharesOf(deliveries, batchMessagesMax)
    const handled = await Promise.all(shares.map((share) => this.#handleAll(share)))
    this.#handlingSince = undefined
    return handled.reduce((sum, messages) => sum + messages, 0)
  }

  async #handleAll(deliveries: readonly Delivery[]): Promise<number> {
    let handled = 0
    for (const chunk of chunksOf(deliveries, this.#options.batchMessagesMax ?? 1000)) {
      const messages = chunk.flatMap((slice) => slice.messages)
      const startedAt = performance.now()
      if (!(await this.#handle(messages))) return handled
      for (const { delivery, end } of chunk) delivery.settle(end)
      handled += messages.length
      await this.#makeRoom(performance.now() - startedAt)
    }
    return handled
  }

  async #makeRoom(batchMs: number): Promise<void> {
    const restMs = this.#options.share?.restMs(batchMs) ?? 0
    if (restMs > 0) await sleep(restMs, this.#interrupted.signal).catch(() => undefined)
  }

  /** Handles a batch, again and again while nothing can be handled. False: given up. */
  async #handle(messages: readonly IncomingMessage[]): Promise<boolean> {
    const { pipeline, logger } = this.#options
    const { signal } = this.#interrupted
    this.#handlingSince = performance.now()
    try {
      for (let attempt = 1; !signal.aborted; attempt += 1) {
        try {
          await pipeline.handle(messages, signal)
          if (this.#pause)
            logger.info({ pausedSeconds: secondsSince(this.#pause.since) }, 'goes on')
          this.#pause = undefined
          return true
        } catch (error) {
          // Whatever it is: no message ends a consumer, and one that is acknowledged in passing would be lost.
          if (signal.aborted) return false
          const delayMs = fullJitter({ attempt, ...retryBackoff })
          this.#pause ??= { error, since: performance.now() }
          logger.warn({ err: error, attempt, delayMs }, 'paused, nothing can be handled now')
          await sleep(delayMs, signal).catch(() => undefined)
        }
      }
      return false
    } finally {
      this.#handlingSince = undefined
    }
  }
}

/**
 * Deliveries that may run beside each other: all in one, or the earlier and the later half when they are too many. Halves and
 * not a mixture, so that what is done when they are interrupted is the beginning of each.
 */
function sharesOf(deliveries: readonly Delivery[], batchMessagesMax: number): Delivery[][] {
  const messages = deliveries.reduce((sum, delivery) => sum + delivery.messages.length, 0)
  if (messages <= batchMessagesMax) return [[...deliveries]]
  const [one, two] = [new Array<Delivery>(), new Array<Delivery>()]
  let before = 0
  for (const delivery of deliveries) {
    const middle = before + delivery.messages.length / 2
    if (middle <= messages / 2) one.push(delivery)
    else two.push(delivery)
    before += delivery.messages.length
  }
  return [one, two]
}

/** A part of a delivery: its messages up to `end`. */
interface Slice {
  readonly delivery: Delivery
  readonly messages: readonly IncomingMessage[]
  readonly end: number
}

/** Cuts deliveries into batches of at most `max` messages. Each delivery keeps its order. */
export function chunksOf(deliveries: readonly Delivery[], max: number): Slice[][] {
  const chunks: Slice[][] = []
  let chunk: Slice[] = []
  let room = max
  for (const delivery of deliveries) {
    for (let start = 0; start < delivery.messages.length; ) {
      const messages = delivery.messages.slice(start, start + room)
      start += messages.length
      room -= messages.length
      chunk.push({ delivery, messages, end: start })
      if (room > 0) continue
      chunks.push(chunk)
      chunk = []
      room = max
    }
  }
  if (chunk.length > 0) chunks.push(chunk)
  return chunks
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 1000)
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
