import { declaredStatements } from '@edp/runtime'
import { explainPlans } from '@edp/testkit'
import { expect, test } from 'vitest'
import { useCounterService } from './fixtures/counter-pipeline.ts'

const service = useCounterService()

// Reads the whole table, for the metrics.
const wholeTable = new Set(['parked_count'])
const noTable = new Set(['consumer_run_relax'])

test('every statement on parked messages is an index lookup, also while the tables are empty', async () => {
  const statements = declaredStatements().filter(
    ({ name }) =>
      /^(parked|consumer_run)_/.test(name) && !wholeTable.has(name) && !noTable.has(name),
  )
  expect(statements.map(({ name }) => name).toSorted()).toEqual([
    'consumer_run_acquit',
    'consumer_run_end',
    'consumer_run_forget',
    'consumer_run_heartbeat',
    'consumer_run_mark',
    'consumer_run_marks',
    'consumer_run_resolve',
    'consumer_run_silent',
    'parked_delete',
    'parked_fail',
    'parked_heads',
    'parked_held_keys',
    'parked_insert',
    'parked_list_due',
    'parked_list_due_heads',
    'parked_lock',
    'parked_postpone',
    'parked_redrive',
    'parked_take',
  ])
  // A few rows a process: the consumer is enough.
  const ofConsumer = { consumer_run: ['consumer'] }
  const problems = await explainPlans(service().db.url, statements, {
    consumer_run_acquit: ofConsumer,
    consumer_run_forget: ofConsumer,
    consumer_run_marks: ofConsumer,
    consumer_run_resolve: ofConsumer,
    consumer_run_silent: ofConsumer,
    parked_heads: { parked_message: ['consumer', 'key'] },
    parked_held_keys: { parked_message: ['consumer', 'key'] },
    parked_list_due: { parked_message: ['consumer', 'next_attempt_at'] },
  })
  // The walk begins at the first key of the consumer.
  const walk = 'parked_list_due_heads'
  expect(problems.filter((problem) => !problem.startsWith(`${walk}: `))).toEqual([])
  const sql = statements.find((statement) => statement.name === walk)?.sql
  const rows = await service().db.query(`explain (generic_plan) ${sql}`)
  const plan = rows.map((row) => String(row['QUERY PLAN'])).join('\n')
  expect(plan).not.toContain('Seq Scan')
  expect(plan).toContain('parked_message_key')
})
