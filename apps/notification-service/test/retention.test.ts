import { join } from 'node:path'
import { createLogger, openDatabase } from '@edp/runtime'
import { templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createRetention } from '../src/retention.ts'

let postgres: TestDatabase

beforeAll(async () => {
  postgres = await templateDatabase({
    role: 'notification_service',
    migrations: join(import.meta.dirname, '../migrations'),
  })
})
afterAll(() => postgres.drop())

const recipients = async (): Promise<string[]> => {
  const rows = await postgres.query('select recipient from notifications order by recipient')
  return rows.map((row) => String(row['recipient']))
}

test('what was sent or cancelled long ago goes, in batches; what is young, owed or dead stays', async () => {
  await postgres.query(
    `insert into notifications (id, kind, recipient, content, status, due_at, queued_at, sent_at, created_at)
     select gen_random_uuid(), 'digest', name, '{}', status, now(), queued_at, case status when 'sent' then now() end,
       now() - days * interval '1 day'
     from (values ('old', 'sent', now(), 91), ('given up', 'cancelled', null, 91), ('young', 'sent', now(), 89),
       ('owed', 'pending', null, 91), ('dead', 'dead', now(), 91), ('its job is to go first', 'cancelled', now(), 91))
       as n (name, status, queued_at, days), generate_series(1, case name when 'old' then 2500 else 1 end)`,
  )
  const logger = createLogger('retention-test', 'silent')
  const database = openDatabase({
    url: postgres.serviceUrl,
    applicationName: 'retention-test',
    poolMax: 1,
    onConnectionError: (error) => logger.warn({ err: error }),
  })
  const retention = createRetention({ database, logger, retentionDays: 90 })
  await retention.start()
  const kept = await waitFor(recipients, {
    message: 'the old ones are gone',
    until: (all) => all.length <= 4,
  })
  await retention.stop()
  await database.component.stop()
  expect(kept).toEqual(['dead', 'its job is to go first', 'owed', 'young'])
})
