import type { Transport } from '@edp/event-schemas'
import type { Component, Database, Health, Logger, Loop } from '@edp/runtime'
import { ConsumerRuns, type ConsumerRunsOptions } from './consumer-runs.ts'
import type { Consumer, Tables } from './handler.ts'
import { createParkedMetrics } from './parked-metrics.ts'
import { createParkedWorker } from './parked-worker.ts'
import { createPipeline, type Pipeline } from './pipeline.ts'
import { createRedriveConsumer, redriveConsumerName, type RedriveTarget } from './redrive.ts'
import type { DueWork } from './redrive-rows.ts'
import type { Subscription } from './subscription.ts'

export interface IntakeOptions<T extends Tables> {
  /** `source` of what it sends, and whose dead letters come back. */
  service: string
  consumers: readonly Consumer<T>[]
  /** Work that dead letters stand for and that is no message. */
  dueWork?: readonly DueWork[]
  database: Pick<Database, 'transaction' | 'ping'>
  namespace: string
  logger: Logger
  health: Health
  /** How far back the inbox remembers messages, as its upkeep is told. */
  inboxRetentionDays: number
  now?: () => Date
  /** How often parked messages are looked at; default 1 s. */
  parkedPollIntervalMs?: number
  /** How processes find out that one was killed, and for how long they are cautious then. */
  runs?: Pick<ConsumerRunsOptions, 'heartbeatIntervalMs' | 'staleAfterMs' | 'cautionMs'>
}

/** A consumer with its pipeline, for the broker that feeds it. */
export interface Fed {
  readonly consumer: Subscription
  readonly pipeline: Pipeline
}

/** Everything of a service that applies messages, whatever brings them. */
export interface Intake<T extends Tables> {
  /** @throws Error when the consumer was not listed */
  of(consumer: Consumer<T>): Fed
  /** Takes the service's dead letters back; over RabbitMQ. */
  readonly redrive: Fed
  /** Tries parked messages again. To be started before what brings messages, and so stopped after it. */
  readonly components: readonly Component[]
}

/**
 * Builds the pipelines of a service's consumers, the workers that try their parked messages again, and the consumer that takes dead
 * letters back.
 */
export function createIntake<T extends Tables>(options: IntakeOptions<T>): Intake<T> {
  const { service, consumers, dueWork = [], database, logger, inboxRetentionDays } = options
  const { now = () => new Date(), parkedPollIntervalMs: pollIntervalMs = 1000 } = options
  const names = [...consumers.map(({ name }) => name), redriveConsumerName(service)]
  const runs = new ConsumerRuns({ ...options.runs, consumers: names, database, logger })
  const parts = { ...options, source: service, pollIntervalMs, now, runs }
  const loops = new Map<string, Loop>()
  const fedBy = <U extends Tables>(consumer: Consumer<U>): Fed => {
    const worker = createParkedWorker({ ...parts, consumer })
    loops.set(consumer.name, worker)
    const pipeline = createPipeline({ ...parts, consumer, onParked: () => worker.poke() })
    return { consumer, pipeline }
  }
  const fed = new Map(consumers.map((consumer) => [consumer.name, fedBy(consumer)]))
  const targets = new Map<string, RedriveTarget>()
  const redriveConsumer = createRedriveConsumer({
    service,
    targets,
    dueWork,
    window: () => ({ now: now(), inboxRetentionDays }),
  })
  const redrive = fedBy(redriveConsumer)
  for (const consumer of [...consumers, redriveConsumer]) {
    const afterCommit = (): void => loops.get(consumer.name)?.poke()
    targets.set(consumer.name, { transport: transportOf(consumer), afterCommit })
  }
  const metrics = createParkedMetrics({ consumers: names, database, logger })
  return {
    of: (consumer) => {
      const one = fed.get(consumer.name)
      if (one === undefined) throw new Error(`${consumer.name} is no consumer of ${service}`)
      return one
    },
    redrive,
    // The runs first, to end last: until then nobody may think that it was killed.
    components: [runs, metrics, ...loops.values()],
  }
}

function transportOf({ name, handlers }: Subscription): Transport {
  const [first] = handlers.values()
  if (first === undefined) throw new Error(`${name} handles nothing`)
  return first.contract.destination.transport
}
