import { join } from 'node:path'
import { type Database, openDatabase, type Tx } from '@edp/runtime'
import { patient, templateDatabase, type TestDatabase } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { markRemoved, markSeen } from '../src/db/feed-rows.ts'
import { lockNotifications } from '../src/db/notifications.ts'

let postgres: TestDatabase
let database: Database

beforeAll(async () => {
  postgres = await templateDatabase({
    role: 'notification_service',
    migrations: join(import.meta.dirname, '../migrations'),
  })
  // So that a statement which leaves the order to the planner does not get the right one by chance.
  const [row] = await postgres.query('select current_database() as name')
  await postgres.query(`alter database "${String(row?.['name'])}" set enable_nestloop = off`)
  database = openDatabase({
    url: postgres.serviceUrl,
    applicationName: 'locks-test',
    ...patient,
  })
})
afterAll(async () => {
  await database.end()
  await postgres.drop()
})

test('who feeds jobs and who handles orders lock the same notifications in one order: no deadlock', async () => {
  // Ids that are in another order than the rows.
  const rows = await postgres.query(
    `insert into notifications (id, kind, recipient, content, status, due_at)
     select gen_random_uuid(), 'digest', 'ada', '{}', case when n % 2 = 0 then 'pending' else 'cancelled' end, now()
     from generate_series(1, 400) as s (n) returning id`,
  )
  const ids = rows.map(({ id }) => String(id))
  const feedRows = ids.map((id) => ({ id, kind: 'digest' as const, round: 0, due_in_ms: 0 }))
  const rounds = async (work: (tx: Tx) => Promise<unknown>): Promise<void> => {
    for (let round = 0; round < 40; round += 1) await database.transaction(work)
  }
  await Promise.all([
    rounds((tx) => markSeen(tx, feedRows)),
    rounds((tx) => markRemoved(tx, ids)),
    rounds((tx) => lockNotifications(tx, ids)),
  ])
  const unseen = 'select 1 from notifications where status = $$pending$$ and queued_at is null'
  expect(await postgres.query(unseen)).toEqual([])
})
