import { setTimeout as delay } from 'node:timers/promises'
import { createKafkaPublisher } from '@edp/messaging'
import { createDrain } from '@edp/outbox/drain'
import { createLogger, renderMetrics } from '@edp/runtime'
import { seededRandom, stack } from '@edp/testkit'
import { expect, test } from 'vitest'
import {
  count,
  countersDatabase,
  countersOf,
  countLate,
  openCounters,
  startWriters,
} from './counted-messages.ts'
import { expectAllInOrder, TopicLog } from './topic-log.ts'

const seconds = Number(process.env['LATE_WRITERS_SECONDS'] ?? 12)
const random = seededRandom('late writers')
const keysOf = (kind: string, many: number) =>
  Array.from({ length: many }, (_, index) => `${kind}-${index}`)

// Most transactions draw their id and commit at once. Some draw it and take their time: whoever comes after them commits and
// is published first. Of one key the slow and the quick take turns, so that a lost or late row inverts its key.
test(
  `no key inverts in ${seconds} s of transactions that commit late with lower ids, and none is lost`,
  async () => {
    const database = await countersDatabase()
    const counters = openCounters(database)
    const log = new TopicLog()
    await log.createTopic()
    const logger = createLogger('test', 'warn')
    const publisher = createKafkaPublisher({
      brokers: stack().kafkaBrokers,
      clientId: 'test',
      logger,
    })
    const drain = createDrain({
      database: log.namespace,
      url: database.relayUrl,
      transport: 'kafka',
      publisher,
      namespace: log.namespace,
      logger,
    })
    await drain.start()
    try {
      await log.read()
      const held = () => delay(random.below(40))
      const quick = startWriters((key) => count(counters, key, log), keysOf('quick', 6))
      const mixed = startWriters(
        (key) =>
          random.below(2) === 0
            ? count(counters, key, log)
            : countLate(counters, key, { namespace: log.namespace, held }),
        keysOf('mixed', 8),
      )
      await delay(seconds * 1000)
      await Promise.all([quick.stop(), mixed.stop()])
      await expectAllInOrder(log, await countersOf(database))
      const { body } = await renderMetrics()
      expect(metric(body, 'edp_outbox_late_rows_total', log.namespace)).toBeGreaterThan(seconds)
      expect(metric(body, 'edp_outbox_missed_rows_total', log.namespace)).toBe(0)
    } finally {
      await drain.stop()
      await publisher.stop()
      await counters.end()
      await log.remove()
      await database.drop()
    }
  },
  (seconds + 60) * 1000,
)

function metric(text: string, name: string, database: string): number {
  const line = text
    .split('\n')
    .find((each) => each.startsWith(`${name}{`) && each.includes(`database="${database}"`))
  return Number(line?.split(' ').at(-1))
}
