import { gauge, type HealthReport } from '@edp/runtime'
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib'
import { AckWindow } from './ack-window.ts'
import type { BatchLane } from './batch-lane.ts'
import type { ConsumerSession } from './consumer-sessions.ts'
import { type HeaderChoice, incomingMessage } from './rabbitmq-message.ts'

export interface RabbitSessionOptions {
  connect: () => Promise<ChannelModel>
  queues: readonly string[]
  /** The consumer, for metrics. */
  name: string
  /** How many messages of each queue may be here and not acknowledged. */
  prefetchMax: number
  headers?: HeaderChoice
  lane: Pick<BatchLane, 'take' | 'stop' | 'busy' | 'report'>
  stallMs: number
  /** How often the depth of the queues is asked for; default 5 s. */
  depthIntervalMs?: number
}

// How long the broker may take to confirm an end; one that does not is not asked again. What it does not hear it does by
// itself when the socket closes.
const farewellTimeoutMs = 2000

const depth = gauge('edp_consumer_queue_messages', 'Messages in the queue that no consumer has', [
  'consumer',
  'queue',
])

/**
 * One life of a RabbitMQ consumer: a connection of its own with one channel. Whatever breaks - the connection, the channel
 * alone (a queue that is not there, acknowledgements that came too late), or only the consumer (its queue was deleted) - ends
 * the session. A message is acknowledged after its commit, on the channel that delivered it or not at all: what was not, the
 * broker delivers again.
 */
export class RabbitSession implements ConsumerSession {
  readonly #options: RabbitSessionOptions
  readonly #acks = new AckWindow<ConsumeMessage>()
  readonly #over = Promise.withResolvers<never>()
  readonly #disconnected = Promise.withResolvers<void>()
  #model: ChannelModel | undefined
  #channel: Channel | undefined
  #arrived: ConsumeMessage[] = []
  /** To be acknowledged with all before it, at the end of this tick. */
  #settledUpTo: ConsumeMessage | undefined
  #isConsuming = false
  #hasConsumed = false
  #isOver = false
  #isBlocked = false
  #isSilent = false
  #lastError: unknown
  #stopped: Promise<void> | undefined
  #watch: NodeJS.Timeout | undefined
  #askedAt: number | undefined
  /** Since when the queue has messages and we get none, although we have none in hand. */
  #starvingSince: number | undefined

  constructor(options: RabbitSessionOptions) {
    this.#options = options
    this.#over.promise.catch(() => undefined)
  }

  get isConsuming(): boolean {
    return this.#isConsuming
  }

  get hasConsumed(): boolean {
    return this.#hasConsumed
  }

  async run(): Promise<void> {
    // Both: a stop does not wait for a broker that takes the connection and says nothing.
    await Promise.race([this.#open(), this.#over.promise])
    await this.#over.promise
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  report(): HealthReport {
    const { lane, stallMs } = this.#options
    const report = lane.report()
    if (report.status !== 'ok' || lane.busy) return report
    if (this.#isBlocked) return { status: 'degraded', detail: 'RabbitMQ blocks the connection' }
    if (msSince(this.#askedAt) > stallMs) {
      return { status: 'degraded', detail: 'RabbitMQ does not answer' }
    }
    const starvingMs = msSince(this.#starvingSince)
    if (starvingMs < stallMs) return report
    const seconds = Math.round(starvingMs / 1000)
    return { status: 'unhealthy', detail: `messages wait and none came for ${seconds} s` }
  }

  async #open(): Promise<void> {
    const { connect, queues, prefetchMax, depthIntervalMs = 5000 } = this.#options
    const model = await connect()
    this.#model = model
    this.#listenToConnection(model)
    if (this.#isOver) return this.#disconnect()
    const channel = await model.createChannel()
    this.#channel = channel
    this.#listenToChannel(channel)
    // For each consumer and not for the channel, which RabbitMQ 4.3 refuses.
    await channel.prefetch(prefetchMax, false)
    for (const queue of queues) {
      const onMessage = (message: ConsumeMessage | null): void => this.#onMessage(queue, message)
      await channel.consume(queue, onMessage, { noAck: false, consumerTag: queue })
    }
    if (this.#isOver) return
    this.#isConsuming = true
    this.#hasConsumed = true
    this.#watch = setInterval(() => void this.#askDepth(channel), depthIntervalMs)
    await this.#askDepth(channel)
  }

  // An error without a listener would end the process. The reason comes as an error before the close, or with it.
  #listenToConnection(model: ChannelModel): void {
    model.on('error', (error) => {
      this.#lastError = error
    })
    model.on('close', (error) => {
      this.#disconnected.resolve()
      this.#end(error ?? this.#lastError ?? new Error('RabbitMQ closed the connection'))
    })
    model.on('blocked', () => {
      this.#isBlocked = true
    })
    model.on('unblocked', () => {
      this.#isBlocked = false
    })
  }

  #listenToChannel(channel: Channel): void {
    channel.on('error', (error) => {
      this.#lastError = error
    })
    channel.on('close', () => {
      this.#end(this.#lastError ?? new Error('RabbitMQ closed the channel'))
    })
  }

  #onMessage(queue: string, message: ConsumeMessage | null): void {
    if (message === null) {
      this.#end(new Error(`RabbitMQ cancelled the consumer of ${queue}`))
      return
    }
    this.#starvingSince = undefined
    this.#arrived.push(message)
    // What one read of the socket brought is one delivery.
    if (this.#arrived.length === 1) setImmediate(() => this.#deliver())
  }

  #deliver(): void {
    const messages = this.#arrived
    this.#arrived = []
    this.#acks.arrive(messages)
    void this.#options.lane.take({
      messages: messages.map((message) => incomingMessage(message, this.#options.headers)),
      settle: (count) => {
        const last = this.#acks.settle(messages.slice(0, count))
        if (last) this.#acknowledgeSoon(last)
      },
    })
  }

  /** A batch settles one delivery after the other, and each acknowledgement is a command to the queue: one for all of them. */
  #acknowledgeSoon(last: ConsumeMessage): void {
    if (this.#settledUpTo === undefined) queueMicrotask(() => this.#acknowledgeSettled())
    this.#settledUpTo = last
  }

  #acknowledgeSettled(): void {
    const last = this.#settledUpTo
    this.#settledUpTo = undefined
    if (last) this.#tell((channel) => channel.ack(last, true))
  }

  /** After a session nothing is acknowledged: the message comes again, to whomever, and is a duplicate. */
  #tell(what: (channel: Channel) => void): void {
    if (this.#isOver || this.#channel === undefined) return
    try {
      what(this.#channel)
    } catch (error) {
      // A channel that is just closing throws.
      this.#end(error)
    }
  }

  /** How much waits in the queues. It also shows whether the broker answers at all. */
  async #askDepth(channel: Channel): Promise<void> {
    if (this.#askedAt !== undefined) return
    this.#askedAt = performance.now()
    const { name, queues, lane } = this.#options
    try {
      let waiting = 0
      for (const queue of queues) {
        const { messageCount } = await channel.checkQueue(queue)
        depth.set({ consumer: name, queue }, messageCount)
        waiting += messageCount
      }
      if (waiting === 0 || lane.busy) this.#starvingSince = undefined
      else this.#starvingSince ??= performance.now()
    } catch {
      // The channel has ended, which is noticed by itself.
    } finally {
      this.#askedAt = undefined
    }
  }

  #end(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#isConsuming = false
    clearInterval(this.#watch)
    // What was measured last says nothing any more.
    const { name: consumer, queues } = this.#options
    for (const queue of queues) depth.remove({ consumer, queue })
    this.#over.reject(error)
  }

  async #stop(): Promise<void> {
    if (this.#isConsuming && this.#channel) await this.#cancel(this.#channel)
    await this.#options.lane.stop()
    this.#acknowledgeSettled()
    this.#settleRest()
    // The channel before the connection, whose close frame overtakes acknowledgements that wait on the channel: handled
    // messages then come again (a test shows it).
    if (!this.#isOver && this.#channel) await this.#farewell(this.#channel.close())
    this.#end(new Error('stopped'))
    await this.#disconnect()
  }

  /**
   * In as few commands as there are runs, with what is not handled given back explicitly where it lies before what is. A channel
   * that closes forgets what it has not yet told the queue, and it tells no more than 32 commands at once: of 1000
   * acknowledgements one by one, 966 messages came again (measured, RabbitMQ 3.10; its source says the same of 4.x).
   */
  #settleRest(): void {
    for (const { last, isHandled } of this.#acks.takeRuns()) {
      this.#tell((channel) =>
        isHandled ? channel.ack(last, true) : channel.nack(last, true, true),
      )
    }
  }

  /** Afterwards nothing more is delivered. What was, and is not handled, goes back when the channel closes. */
  async #cancel(channel: Channel): Promise<void> {
    const cancelled = this.#options.queues.map((queue) => channel.cancel(queue))
    await this.#farewell(Promise.all(cancelled))
  }

  async #disconnect(): Promise<void> {
    const model = this.#model
    if (model === undefined) return
    // Its own promise is never settled when the connection breaks meanwhile; the event comes in any case.
    model.close().catch(() => undefined)
    await this.#farewell(this.#disconnected.promise)
  }

  /** Waits for the broker's answer, at most once in vain. What the answer is is of no interest. */
  async #farewell(answer: Promise<unknown>): Promise<void> {
    const settled = answer.then(
      () => true,
      () => true,
    )
    if (this.#isSilent) return
    const late = Promise.withResolvers<boolean>()
    const timer = setTimeout(() => late.resolve(false), farewellTimeoutMs)
    this.#isSilent = !(await Promise.race([settled, late.promise]))
    clearTimeout(timer)
  }
}

function msSince(start: number | undefined): number {
  return start === undefined ? 0 : performance.now() - start
}
