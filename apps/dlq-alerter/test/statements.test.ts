import { declaredStatements } from '@edp/runtime'
import { explainPlans } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'

// Not of the tables of letters: a call of a function and a look at Postgres' catalogue once an hour, mechanisms that the service does
// not use (it parks nothing: what it cannot read is a letter), and the rounds of the alerts, which look through their few rows.
const notOfLetters =
  /^(inbox_maintain|inbox_newest_partition|(idempotency_key|parked|consumer_run|alerts|notifications)_.*)$/

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter({ redrives: false })
})
afterAll(() => alerter.close())

test('every statement of letters is an index lookup by the whole key, also while the tables are empty', async () => {
  // The composition root: with it every statement of the service is declared.
  await import('../src/service.ts')
  const statements = declaredStatements().filter(({ name }) => !notOfLetters.test(name))
  const names = statements.map(({ name }) => name)
  for (const name of ['letters_lock_by_identity', 'letters_update', 'redrives_lock_due']) {
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
  })
  expect(problems).toEqual([])
})
