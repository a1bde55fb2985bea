import type { OutboxRow, Publisher } from '@edp/outbox'
import type { Component, HealthReport } from '@edp/runtime'
import { BatchLane } from './batch-lane.ts'
import { partitionOf } from './kafka-partitioner.ts'
import type { IncomingMessage } from './incoming-message.ts'
import { type ConsumerOptions, groupOf, queuesOf, topicsOf } from './subscription.ts'

/**
 * A broker in this process, for tests of services that need no real one: topics and queues with the faces and promises of
 * Kafka and RabbitMQ, nothing kept.
 */
export interface MemoryBroker {
  createPublisher(): Publisher & Component
  /**
   * Consumes as `createKafkaConsumer` and `createRabbitConsumer` do. Each group gets every message of a topic, and its members
   * share the partitions; all that consume a queue share its messages.
   */
  createConsumer(options: ConsumerOptions): Component
  /** Moves a group back to the beginning of everything. */
  rewind(group: string): void
}

type Log = IncomingMessage[]

/** A topic, or a queue: then all that consume it are one group. */
interface Topic {
  readonly partitions: readonly Log[]
}

/** A topic or queue as one consumer sees it. */
interface Source {
  readonly name: string
  readonly group: Group
}

/** Where a group is, by topic and partition, and who its members are. */
interface Group {
  readonly members: MemoryConsumer[]
  readonly offsets: Map<string, number>
}

/** Makes an empty broker. Topics come into being as they are used, with 6 partitions each unless told otherwise. */
export function createMemoryBroker(options: { partitions?: number } = {}): MemoryBroker {
  const state = new BrokerState(options.partitions ?? 6)
  return {
    createPublisher: () => ({
      name: 'memory-publisher',
      start: async () => undefined,
      stop: async () => undefined,
      publish: async (rows) => {
        for (const row of rows) state.append(row)
        state.wake()
        return rows.map(() => undefined)
      },
    }),
    createConsumer: (consumerOptions) => {
      const consumer = new MemoryConsumer(state, consumerOptions)
      consumerOptions.health.register(consumer.name, () => consumer.report())
      return consumer
    },
    rewind: (group) => {
      state.group(group).offsets.clear()
      state.wake()
    },
  }
}

class BrokerState {
  readonly #partitions: number
  readonly #topics = new Map<string, Topic>()
  readonly #groups = new Map<string, Group>()

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  topic(name: string): Topic {
    const existing = this.#topics.get(name)
    if (existing) return existing
    const topic = { partitions: Array.from({ length: this.#partitions }, (): Log => []) }
    this.#topics.set(name, topic)
    return topic
  }

  group(name: string): Group {
    const existing = this.#groups.get(name)
    if (existing) return existing
    const group: Group = { members: [], offsets: new Map() }
    this.#groups.set(name, group)
    return group
  }

  append(row: OutboxRow): void {
    // An exchange with its routing key, which is the name of the queue.
    const slash = row.destination.indexOf('/')
    const name = row.destination.slice(slash + 1)
    const { partitions } = this.topic(name)
    const partition = partitionOf(row.key, partitions.length)
    const log = partitions[partition]
    log?.push({
      transport: slash < 0 ? 'kafka' : 'rabbitmq',
      position: slash < 0 ? `${name}/${partition}@${log.length}` : `${name}@${row.messageId}`,
      headers: row.headers,
      body: Buffer.from(row.payload),
      key: slash < 0 ? Buffer.from(row.key) : null,
    })
  }

  wake(): void {
    for (const { members } of this.#groups.values()) for (const member of members) member.wake()
  }
}

class MemoryConsumer implements Component {
  readonly name: string
  readonly #state: BrokerState
  readonly #options: ConsumerOptions
  readonly #sources: readonly Source[]
  readonly #lane: BatchLane
  #running: Promise<void> | undefined
  #stopped = false
  #wake = (): void => undefined

  constructor(state: BrokerState, options: ConsumerOptions) {
    this.name = options.consumer.name
    this.#state = state
    this.#options = options
    const group = state.group(groupOf(options))
    this.#sources = [
      ...topicsOf(options).map((name) => ({ name, group })),
      ...queuesOf(options).map((name) => ({ name, group: state.group(name) })),
    ]
    this.#lane = new BatchLane(options)
  }

  async start(): Promise<void> {
    if (this.#running || this.#stopped) return
    await this.#options.pipeline.ready()
    for (const group of this.#groups()) group.members.push(this)
    this.#running = this.#run()
    this.#state.wake()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.wake()
    await this.#lane.stop()
    await this.#running
    for (const { members } of this.#groups()) {
      const index = members.indexOf(this)
      if (index >= 0) members.splice(index, 1)
    }
    this.#state.wake()
  }

  report(): HealthReport {
    return this.#lane.report()
  }

  wake(): void {
    this.#wake()
  }

  #groups(): Set<Group> {
    return new Set(this.#sources.map(({ group }) => group))
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const taken = this.#fetch()
      if (taken.length > 0) await Promise.all(taken)
      else {
        const woken = Promise.withResolvers<void>()
        this.#wake = woken.resolve
        await woken.promise
      }
    }
  }

  /** Everything new in the partitions that are this member's. */
  #fetch(): Promise<void>[] {
    const taken: Promise<void>[] = []
    let place = 0
    for (const source of this.#sources) {
      const { members, offsets } = source.group
      for (const [partition, log] of this.#state.topic(source.name).partitions.entries()) {
        const owner = members[place++ % members.length]
        const name = `${source.name}/${partition}`
        const offset = offsets.get(name) ?? 0
        if (owner !== this || offset >= log.length) continue
        let settled = offset
        const settle = (count: number): void => {
          // Moved meanwhile, by a rewind or another owner: what was handled comes again and is a duplicate.
          if ((offsets.get(name) ?? 0) !== settled) return
          settled = offset + count
          offsets.set(name, settled)
        }
        taken.push(this.#lane.take({ messages: log.slice(offset), settle }))
      }
    }
    return taken
  }
}
