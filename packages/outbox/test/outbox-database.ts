import { defineContract, outgoing } from '@edp/event-schemas'
import { enqueue, outbox, outboxDead, outboxLease } from '@edp/outbox'
import { type Database, noRow, openDatabase, statement } from '@edp/runtime'
import { patient, tablesSql, templateDatabase, type TestDatabase } from '@edp/testkit'
import { z } from 'zod'

/** A message that knows its place in the order in which the transactions of its key committed. */
export const contract = defineContract({
  type: 'test.counted.v1',
  destination: { transport: 'kafka', topic: 'counted' },
  body: z.strictObject({ sequence: z.number() }),
})

const lockKey = statement(
  'test_count_lock',
  z.object({ sequence: z.number() }),
  `insert into counters as c (key, sequence) values ($1, 1)
   on conflict (key) do update set sequence = c.sequence + 1 returning sequence`,
)
const drawId = statement(
  'test_draw_id',
  noRow,
  `insert into outbox (transport, message_id, destination, key, type, payload, headers)
   values ('kafka', gen_random_uuid(), $1, $2, 'test.counted.v1', $3, '{}')`,
)

/** A database with the tables of an outbox and a table of counters, whose rows are the aggregates. */
export async function outboxDatabase(): Promise<TestDatabase> {
  const tables = await tablesSql({ outbox, outboxDead, outboxLease })
  return templateDatabase({
    role: 'order_service',
    migrations: {
      sql: [
        ...tables,
        'create table counters (key text primary key, sequence integer not null)',
        'grant select, insert, update, delete on all tables in schema public to order_service',
        'grant select, insert, delete on outbox to relay',
        'grant select, insert, update, delete on outbox_dead to relay',
        'grant select, insert, update, delete on outbox_lease to relay',
      ],
    },
  })
}

export function openService(database: TestDatabase): Database {
  return openDatabase({
    url: database.serviceUrl,
    applicationName: 'test-writer',
    poolMax: 20,
    ...patient,
  })
}

/** Counts up a key and sends that, as a use case would: the aggregate's row is locked before `enqueue`. */
export async function count(service: Database, key: string, namespace = 'test'): Promise<void> {
  await service.transaction(async (tx) => {
    const [row] = await tx.run(lockKey, [key])
    const message = outgoing(contract, key, { sequence: row?.sequence ?? 0 })
    enqueue(tx, [message], {
      source: 'test',
      namespace,
      now: new Date(),
      coordination: 'choreographed',
    })
  })
}

/** Counts up a key and draws the id of its message at once, but commits only when `held` has ended. */
export async function countLate(
  service: Database,
  key: string,
  held: () => Promise<unknown>,
): Promise<void> {
  await service.transaction(async (tx) => {
    const [row] = await tx.run(lockKey, [key])
    await tx.execute(drawId, ['test.counted', key, JSON.stringify({ sequence: row?.sequence })])
    await held()
  })
}
