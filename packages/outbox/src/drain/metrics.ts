import { counter, type Gauge, gauge, histogram } from '@edp/runtime'

const labels = ['database', 'transport'] as const

const rowBuckets = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000]

const leaseHeld = gauge('edp_outbox_lease_held', '1 while this process drains it', labels)
const backlogRows = gauge(
  'edp_outbox_backlog_rows',
  'Rows that wait to be published, counted up to 100,000',
  labels,
)
const oldestSeconds = gauge('edp_outbox_oldest_pending_seconds', 'Age of the oldest row', labels)
const pausedDestinations = gauge(
  'edp_outbox_paused_destinations',
  'Destinations that take nothing at the moment',
  labels,
)
const deadRows = gauge(
  'edp_outbox_dead_rows',
  'Rows that can never be published (dead) and those that wait behind them, counted up to 100,000',
  [...labels, 'status'],
)
const oldestDeadSeconds = gauge(
  'edp_outbox_oldest_dead_seconds',
  'How long the oldest dead row has been dead',
  labels,
)
const died = counter('edp_outbox_died_total', 'Rows that became dead, by destination and code', [
  ...labels,
  'destination',
  'code',
])
const deadWithoutLetter = counter(
  'edp_outbox_dead_without_letter_total',
  'Dead rows of which no dead letter tells: they are dead letters themselves, or make none',
  labels,
)
const published = counter('edp_outbox_published_total', 'Rows that a broker acknowledged', labels)
const publishFailures = counter(
  'edp_outbox_publish_failures_total',
  'Sends that failed, by destination and code',
  [...labels, 'destination', 'code'],
)
const lateRows = counter(
  'edp_outbox_late_rows_total',
  'Rows whose transaction committed after one with a higher id',
  labels,
)
const missedRows = counter(
  'edp_outbox_missed_rows_total',
  'Rows that only the scan from zero found: should stay 0',
  labels,
)
const commitToAck = histogram(
  'edp_outbox_commit_to_ack_seconds',
  "From a row's commit to its acknowledgement, of the oldest row of each batch",
  labels,
)
const batchRows = histogram('edp_outbox_batch_rows', 'Rows of a batch', labels, rowBuckets)
const stageSeconds = histogram('edp_outbox_stage_seconds', 'Time of a stage for one batch', [
  ...labels,
  'stage',
])

/** The metrics of one drain. */
export type DrainMetrics = ReturnType<typeof drainMetrics>

/** The metrics of the drain of one transport of one database. */
export function drainMetrics(names: { database: string; transport: string }) {
  // From the start on, so that an alert on an increase sees the first one.
  for (const total of [published, lateRows, missedRows, deadWithoutLetter]) total.inc(names, 0)
  const set = (metric: Gauge<(typeof labels)[number]>) => (value: number) =>
    metric.set(names, value)
  const stage = (name: string) => stageSeconds.labels({ ...names, stage: name })
  return {
    leaseHeld: set(leaseHeld),
    backlogRows: set(backlogRows),
    oldestSeconds: set(oldestSeconds),
    pausedDestinations: set(pausedDestinations),
    deadRows: (status: 'dead' | 'waiting', rows: number) =>
      deadRows.set({ ...names, status }, rows),
    oldestDeadSeconds: set(oldestDeadSeconds),
    died: (destination: string, code: string) => died.inc({ ...names, destination, code }),
    deadWithoutLetter: deadWithoutLetter.labels(names),
    published: published.labels(names),
    failed: (destination: string, code: string) =>
      publishFailures.inc({ ...names, destination, code }),
    lateRows: lateRows.labels(names),
    missedRows: missedRows.labels(names),
    commitToAck: commitToAck.labels(names),
    batchRows: batchRows.labels(names),
    fetchSeconds: stage('fetch'),
    publishSeconds: stage('publish'),
    deleteSeconds: stage('delete'),
  }
}
