import { explainPlans } from '@edp/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'

// Not looked up by a key: a call of a function and a look at Postgres' catalogue once an hour, mechanisms that the service does not use
// (it parks nothing: what it cannot read is a letter), the groups that have open letters, and what waits to be told, which is
// all of a partial index.
const notByKey =
  /^(inbox_(maintain|newest_partition)|(idempotency_key|parked|consumer_run)_.*|alerts_select_letter_facts)$/
const ofPending =
  /^notifications_(enqueue|enqueue_heartbeat|claim|select_overdue|select_orphans|count_pending)$/

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter({ redrives: false })
})
afterAll(() => alerter.close())

test('every statement of letters and alerts is an index lookup by the whole key, also while the tables are empty', async () => {
  // What other files have loaded into this process declares statements too.
  vi.resetModules()
  const { declaredStatements } = await import('@edp/runtime')
  // The composition root: with it every statement of the service is declared.
  await import('../src/service.ts')
  const statements = declaredStatements().filter(
    ({ name }) => !notByKey.test(name) && !ofPending.test(name),
  )
  const names = statements.map(({ name }) => name)
  for (const name of [
    'letters_update',
    'redrives_lock_due',
    'alerts_update',
    'alerts_select_live',
  ]) {
    expect(names).toContain(name)
  }
  const redriveState = { redrive_letters: ['redrive_id', 'state'] }
  const problems = await explainPlans(alerter.postgres.url, statements, {
    letters_lock_by_identity: { letters: ['consumer', 'message_id'] },
    // The partial index of the running ones.
    redrives_lock_due: { redrives: ['next_send_at'] },
    redrive_letters_pending: redriveState,
    redrive_letters_count: redriveState,
    // A selection is a look through the open letters, once.
    redrive_letters_select: { letters: ['status'] },
    redrive_letters_refused: { letters: ['status'] },
    // Not the history, which is thirty days of them.
    alerts_select_live: { alerts: ['status'] },
    alerts_count_begun: { alerts: ['rule', 'starts_at'] },
    // What is old, by the index of its age.
    letters_lock_ended: { letters: ['updated_at'] },
    alerts_prune: { alerts: ['ends_at'] },
    notifications_prune: { notifications: ['ended_at'] },
    letter_notes_remove: { letter_notes: ['letter_id'] },
    redrive_letters_remove: { redrive_letters: ['redrive_id'] },
    letter_groups_remove_empty: { letter_groups: ['last_seen_at'] },
    early_resolutions_remove: { early_resolutions: ['fact_at'] },
  })
  expect(problems).toEqual([])
})
