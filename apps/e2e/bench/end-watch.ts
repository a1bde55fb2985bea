import { setTimeout as sleep } from 'node:timers/promises'
import { orderCancelledV1, orderConfirmedV1 } from '@edp/event-schemas'
import { consumer, createKafkaConsumer, on } from '@edp/messaging'
import { createHealth, createLogger } from '@edp/runtime'
import type { System } from '../src/system.ts'
import { withSystem } from '../src/with-system.ts'

/** Sees every order end, as any downstream consumer would: by its event on Kafka. */
export interface EndWatch {
  reset(): void
  accepted(orderId: string): void
  /** Waits until so many orders have ended; the times from accepted to ended. */
  allEnded(count: number): Promise<number[]>
  lastEndAt(): number
  /** Waits until this order has ended; when that was, by `performance.now()`. */
  ended(orderId: string): Promise<number>
  /** How many have ended. */
  count(): number
  stop(): Promise<void>
}

/** Starts a system, watches its orders end while `work` has it, and stops both, also when a signal ends this process. */
export async function withWatchedSystem<T>(
  start: () => Promise<System>,
  work: (system: System, watch: EndWatch) => Promise<T>,
): Promise<T> {
  return await withSystem(start, async (system, interrupted) => {
    const watch = await watchEnds(system)
    // Before its topics are deleted.
    interrupted.addEventListener('abort', () => void watch.stop())
    try {
      return await work(system, watch)
    } finally {
      await watch.stop()
    }
  })
}

async function watchEnds(system: System): Promise<EndWatch> {
  let acceptedAt = new Map<string, number>()
  let endedAt = new Map<string, number>()
  let lastEndAt = 0
  const health = createHealth()
  const kafka = createKafkaConsumer({
    brokers: system.kafkaBrokers,
    namespace: system.name,
    consumer: endEvents,
    pipeline: {
      ready: () => Promise.resolve(),
      handle: (batch) => {
        for (const { headers } of batch) {
          if (!endTypes.has(headers['ce_type'] ?? '')) continue
          lastEndAt = performance.now()
          endedAt.set(headers['ce_subject'] ?? '', lastEndAt)
        }
        return Promise.resolve()
      },
    },
    logger: createLogger('bench', 'warn'),
    health,
    onCrash: (error) => {
      throw error
    },
  })
  await kafka.start()
  // Degraded until it is in its group; what ends before that would not be seen.
  while (health.readiness().status !== 'ok') await sleep(50)
  return {
    reset: () => {
      acceptedAt = new Map()
      endedAt = new Map()
    },
    accepted: (orderId) => acceptedAt.set(orderId, performance.now()),
    allEnded: async (count) => {
      const deadline = Date.now() + 120_000
      while (endedAt.size < count) {
        if (Date.now() > deadline) throw new Error(`${endedAt.size} of ${count} orders ended`)
        await sleep(50)
      }
      return [...acceptedAt].map(([orderId, at]) => Math.max(0, (endedAt.get(orderId) ?? at) - at))
    },
    lastEndAt: () => lastEndAt,
    ended: async (orderId) => {
      const deadline = Date.now() + 120_000
      while (!endedAt.has(orderId)) {
        if (Date.now() > deadline) throw new Error(`the order ${orderId} did not end`)
        await sleep(5)
      }
      return endedAt.get(orderId) ?? 0
    },
    count: () => endedAt.size,
    stop: () => kafka.stop(),
  }
}

const endTypes = new Set([orderConfirmedV1.type, orderCancelledV1.type])
const nothing = { keys: () => ({}), decide: () => ({}) }
const endEvents = consumer({
  name: 'bench.kafka',
  store: { keyOf: {}, load: () => Promise.resolve({}), save: () => Promise.resolve() },
  handlers: [on(orderConfirmedV1, nothing), on(orderCancelledV1, nothing)],
})
