import { setTimeout as delay } from 'node:timers/promises'
import { defineContract, outgoing } from '@edp/event-schemas'
import { enqueue, outbox, outboxDead, outboxLease } from '@edp/outbox'
import { type Database, noRow, openDatabase, statement } from '@edp/runtime'
import { tablesSql, templateDatabase, type TestDatabase } from '@edp/testkit'
import { z } from 'zod'

// Messages that know their place in the order in which the transactions of their key committed.

const body = z.strictObject({ sequence: z.number(), padding: z.string().optional() })
const contracts = {
  kafka: defineContract({
    type: 'test.counted.v1',
    destination: { transport: 'kafka', topic: 'counted' },
    body,
  }),
  rabbitmq: defineContract({
    type: 'test.count.v1',
    destination: { transport: 'rabbitmq', exchange: 'counts', routingKey: 'counter' },
    body,
  }),
}

const countUp = statement(
  'test_count_up',
  z.object({ sequence: z.number() }),
  `insert into counters as c (key, sequence) values ($1, 1)
   on conflict (key) do update set sequence = c.sequence + 1 returning sequence`,
)
const drawId = statement(
  'test_draw_counted_id',
  noRow,
  `insert into outbox (transport, message_id, destination, key, type, payload, headers)
   values ('kafka', gen_random_uuid(), $1, $2, 'test.counted.v1', $3,
     json_build_object('ce_subject', $2::text))`,
)

/** A database with an outbox and with counters, whose rows are the aggregates. */
export async function countersDatabase(): Promise<TestDatabase> {
  return templateDatabase({
    role: 'order_service',
    migrations: {
      sql: [
        ...(await tablesSql({ outbox, outboxDead, outboxLease })),
        'create table counters (key text primary key, sequence integer not null)',
        'grant select, insert, update, delete on all tables in schema public to order_service',
        'grant select, insert, delete on outbox to relay',
        'grant select, insert, update, delete on outbox_dead to relay',
        'grant select, insert, update, delete on outbox_lease to relay',
      ],
    },
  })
}

export function openCounters(database: TestDatabase): Database {
  return openDatabase({ url: database.serviceUrl, applicationName: 'test-writer', poolMax: 20 })
}

/** Counts up a key and sends that, as a use case would: the aggregate's row is locked before `enqueue`. */
export async function count(
  counters: Database,
  key: string,
  options: { namespace: string; transport?: 'kafka' | 'rabbitmq'; padding?: string },
): Promise<void> {
  const { namespace, transport = 'kafka', padding } = options
  await counters.transaction(async (tx) => {
    const [row] = await tx.run(countUp, [key])
    const message = outgoing(contracts[transport], key, {
      sequence: row?.sequence ?? 0,
      ...(padding !== undefined && { padding }),
    })
    const origin = { source: 'test', now: new Date(), coordination: 'choreographed' } as const
    enqueue(tx, [message], { ...origin, namespace })
  })
}

/** Counts up a key and draws the id of its message at once, but commits only when `held` has ended. */
export async function countLate(
  counters: Database,
  key: string,
  options: { namespace: string; held: () => Promise<unknown> },
): Promise<void> {
  await counters.transaction(async (tx) => {
    const [row] = await tx.run(countUp, [key])
    const payload = JSON.stringify({ sequence: row?.sequence })
    await tx.execute(drawId, [`${options.namespace}.counted`, key, payload])
    await options.held()
  })
}

/**
 * Counts up many keys at once, until it is stopped. `pauseMs`: how long each key rests between two messages, for tests that start
 * processes meanwhile, and would wait longest for a core.
 */
export function startWriters(
  work: (key: string) => Promise<void>,
  keys: readonly string[],
  pauseMs = 0,
): { stop(): Promise<void> } {
  let stopped = false
  const writers = keys.map(async (key) => {
    while (!stopped) {
      await work(key)
      if (pauseMs > 0) await delay(pauseMs)
    }
  })
  return {
    stop: async () => {
      stopped = true
      await Promise.all(writers)
    },
  }
}

/** How many messages each key has sent. */
export async function countersOf(database: TestDatabase): Promise<Map<string, number>> {
  const rows = await database.query('select key, sequence from counters')
  return new Map(rows.map((row) => [String(row['key']), Number(row['sequence'])]))
}
