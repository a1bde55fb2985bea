import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import type { Finding } from './alert.ts'
import { readSamples } from './prometheus-text.ts'
import { metricsOf, queueMetric, type ThresholdBounds } from './threshold-rules.ts'
import { thresholdFindings } from './thresholds.ts'

const bounds: ThresholdBounds = {
  queueMessagesMax: 10_000,
  deadLetterQueue: 'edp.dlq',
  consumerLagMessagesMax: 10_000,
  outboxAgeMaxMs: 60_000,
  parkedMessagesMax: 100,
  sagaAgeMaxMs: 900_000,
  dueLagMaxMs: 300_000,
  jobsWaitingMax: 1000,
  jobsFailedMax: 100,
  holdMs: 60_000,
  unreadableMs: 120_000,
}

function findingsOf(text: string, source = 'a-service'): Finding[] {
  const samples = readSamples(text, metricsOf(bounds))
  return thresholdFindings([{ source, kind: 'read', samples }], bounds)
}

test.each([
  ['edp_outbox_oldest_pending_seconds{database="orders",transport="kafka"} 60', []],
  ['edp_outbox_oldest_pending_seconds{database="orders",transport="kafka"} 61', ['outbox-age']],
  ['edp_outbox_paused_destinations{database="orders",transport="kafka"} 1', ['outbox-paused']],
  [
    'edp_outbox_dead_rows{database="orders",transport="kafka",status="waiting"} 1',
    ['outbox-blocked'],
  ],
  ['edp_outbox_dead_rows{database="orders",transport="kafka",status="dead"} 1', []],
  ['edp_outbox_missed_rows_total{database="orders",transport="kafka"} 1', ['outbox-missed-rows']],
  [
    'edp_outbox_dead_without_letter_total{database="orders",transport="kafka"} 1',
    ['outbox-dead-without-letter'],
  ],
  ['edp_saga_active{definition="f",status="needs_human"} 1', ['saga-needs-human']],
  ['edp_saga_active{definition="f",status="needs_human"} 0', []],
  ['edp_saga_active{definition="f",status="running"} 1000000', []],
  ['edp_saga_oldest_active_seconds{definition="f"} 901', ['saga-stuck']],
  ['edp_saga_timer_lag_seconds{definition="f"} 301', ['saga-timer-lag']],
  ['edp_payment_due_lag_seconds 301', ['payment-due-lag']],
  ['edp_queue_jobs{queue="q",state="waiting"} 1000', []],
  ['edp_queue_jobs{queue="q",state="waiting"} 1001', ['jobs-waiting']],
  ['edp_queue_jobs{queue="q",state="failed"} 100', []],
  ['edp_queue_jobs{queue="q",state="failed"} 101', ['jobs-failed']],
  ['edp_queue_jobs{queue="q",state="completed"} 1000000', []],
  ['edp_queue_jobs_stalled_recently{queue="q"} 1', ['jobs-stalled']],
  ['edp_notification_due_lag_seconds 301', ['notification-due-lag']],
  ['edp_parked_messages{consumer="c",status="retrying"} 101', ['parked-messages']],
  ['edp_parked_messages{consumer="c",status="dead"} 101', []],
])('%s: %j', (text, rules) => {
  expect(findingsOf(text).map(({ rule }) => rule)).toEqual(rules)
})

test('the lag of a consumer is the sum over the partitions of a topic', () => {
  const lag = (partition: number, messages: number): string =>
    `edp_consumer_lag_messages{consumer="c.kafka",topic="edp.order.events",partition="${partition}"} ${messages}`
  expect(findingsOf([lag(0, 5000), lag(1, 5000)].join('\n'))).toEqual([])
  expect(findingsOf([lag(0, 5000), lag(1, 5001)].join('\n'))).toMatchObject([
    {
      key: 'consumer-lag/a-service/consumer=c.kafka/topic=edp.order.events',
      summary: 'c.kafka is 10001 messages behind on edp.order.events (bound 10000)',
      level: 1,
      forMs: 60_000,
    },
  ])
})

test('ten times the bound is another level', () => {
  const levels = [10_001, 99_999, 100_000, 1_000_000].map(
    (messages) =>
      findingsOf(`edp_consumer_lag_messages{consumer="c",topic="t"} ${messages}`)[0]?.level,
  )
  expect(levels).toEqual([1, 1, 2, 3])
})

describe('queues', () => {
  const depth = (queue: string, value: number) =>
    thresholdFindings(
      [
        {
          source: 'rabbitmq',
          kind: 'read',
          samples: [{ name: queueMetric, labels: { queue }, value }],
        },
      ],
      bounds,
    )

  test('alert above their bound', () => {
    expect(depth('edp.inventory.commands', 10_000)).toEqual([])
    expect(depth('edp.inventory.commands', 10_001)).toMatchObject([
      { summary: '10001 messages in the queue edp.inventory.commands (bound 10000)' },
    ])
  })

  test('of dead letters alert when the alerter does not empty them', () => {
    expect(depth('edp.dlq', 0)).toEqual([])
    expect(depth('edp.dlq', 1)).toMatchObject([
      {
        rule: 'dead-letter-queue-depth',
        forMs: 120_000,
        summary: '1 message in edp.dlq that the alerter does not take in',
      },
    ])
  })
})

test('a source that cannot be read is an alert, and one that nobody has read yet is none', () => {
  const readings = [
    { source: 'order-service', kind: 'unreadable', error: 'ECONNREFUSED' },
    { source: 'rabbitmq', kind: 'unread' },
  ] as const
  expect(thresholdFindings(readings, bounds)).toMatchObject([
    { key: 'source-unreadable/order-service', severity: 'critical', forMs: 120_000 },
  ])
})

test('the text format is read with its comments, escapes, time stamps and odd values', () => {
  const text = `# HELP edp_saga_active Sagas
# TYPE edp_saga_active gauge
edp_saga_active{definition="a\\"b\\\\c\\nd",status="running",} 1.5e3 1700000000000
edp_saga_active NaN
edp_saga_active +Inf
edp_saga_active 7
edp_other 3
edp_saga_active{definition="x"}
not a sample at all`
  expect(readSamples(text, new Set(['edp_saga_active']))).toEqual([
    {
      name: 'edp_saga_active',
      labels: { definition: 'a"b\\c d', status: 'running' },
      value: 1500,
    },
    { name: 'edp_saga_active', labels: {}, value: 7 },
  ])
})

test('every figure that a rule is about is one that something exposes: else the rule would never alert', () => {
  const sources = globSync('{packages,apps}/*/src/**/*.ts', {
    cwd: repositoryRoot(),
    exclude: ['**/node_modules/**', '**/src/alerts/**', '**/*.test.ts'],
  })
  const code = sources.map((path) => readFileSync(join(repositoryRoot(), path), 'utf8')).join('\n')
  const exposed = (metric: string): boolean =>
    metric === queueMetric || new RegExp(`(gauge|counter)\\(\\s*'${metric}'`).test(code)
  expect([...metricsOf(bounds)].filter((metric) => !exposed(metric))).toEqual([])
})
