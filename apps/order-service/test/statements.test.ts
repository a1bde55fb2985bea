import { explainPlans } from '@edp/testkit'
import { expect, test, vi } from 'vitest'
import { testDatabase } from './running.ts'

// Not of the service's tables, and once an hour: a call of a function and a look at Postgres' catalogue.
const upkeep = new Set(['inbox_maintain', 'inbox_newest_partition'])

// Each with the index that it is for: packages/messaging/test/statements.test.ts.
const plannedInTheirPackage = /^(parked|consumer_run)_/

test('every statement is an index lookup by the whole key, also while the tables are empty', async () => {
  // What other files have loaded into this process declares statements too.
  vi.resetModules()
  const { declaredStatements } = await import('@edp/runtime')
  // The composition root: with it every statement of the service is declared.
  await import('../src/service.ts')
  const database = await testDatabase()
  const statements = declaredStatements().filter(
    ({ name }) => !upkeep.has(name) && !plannedInTheirPackage.test(name),
  )
  const names = statements.map(({ name }) => name)
  for (const name of [
    'catalogue_select',
    'clock_select',
    'idempotency_key_claim',
    'idempotency_key_read',
    'inbox_claim',
    'order_lines_insert',
    'order_timeline_insert',
    'orders_insert',
    'orders_lock',
    'orders_lock_due',
    'orders_update',
    'outbox_insert',
    'products_upsert',
    'saga_insert',
    'saga_intervention_insert',
    'saga_live_count',
    'saga_lock',
    'saga_lock_due',
    'saga_log_insert',
    'saga_transport_age',
    'saga_update',
  ]) {
    expect(names).toContain(name)
  }
  const problems = await explainPlans(database.url, statements, {
    // The lines of an order are one range of the key.
    order_lines_select: { order_lines: ['order_id'] },
    // The partial index of the pending ones.
    orders_lock_due: { orders: ['due_at'] },
    // The due ones, and those of the backlog.
    saga_lock_due: { s: ['due_at'], r: ['status'] },
    // The partial index of the live ones.
    saga_live_count: { saga: ['status'] },
    // The log of a saga is one range of the key, newest first.
    saga_history: { saga_log: ['saga_id'] },
    saga_replay_log: { saga_log: ['saga_id'] },
    // The oldest row of a transport is at the front of the key.
    saga_transport_age: { outbox: ['transport'] },
  })
  expect(problems).toEqual([])
})
