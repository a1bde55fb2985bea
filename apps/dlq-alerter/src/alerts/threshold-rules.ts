import { counted, duration, type Severity } from './alert.ts'
import type { Sample } from './prometheus-text.ts'

/** The bounds above which a person is told. */
export interface ThresholdBounds {
  readonly queueMessagesMax: number
  readonly deadLetterQueue: string
  readonly consumerLagMessagesMax: number
  readonly outboxAgeMaxMs: number
  readonly parkedMessagesMax: number
  readonly sagaAgeMaxMs: number
  readonly dueLagMaxMs: number
  readonly jobsWaitingMax: number
  readonly jobsFailedMax: number
  /** How long a figure has to be above its bound, so that a restart or a burst tells nobody. */
  readonly holdMs: number
  /** The same for a source that cannot be read. */
  readonly unreadableMs: number
}

/** One figure and its bound. */
export interface Rule {
  readonly name: string
  readonly metric: string
  /** Samples with these labels only. */
  readonly where?: (labels: Sample['labels']) => boolean
  /** Samples with the same values of these are one figure. */
  readonly by: readonly string[]
  readonly combine: 'sum' | 'max'
  /** Told when the figure is above it. */
  readonly max: number
  readonly forMs: number
  readonly severity: Severity
  readonly runbook: string
  readonly summary: (value: number, labels: Sample['labels']) => string
}

/** The name of the figures that come from RabbitMQ itself and not from a service. */
export const queueMetric = 'rabbitmq_queue_messages'

/** A span of seconds, for people. */
export const seconds = (value: number): string => duration(value * 1000)
const outboxOf = (labels: Sample['labels']): string =>
  `the outbox of ${labels['database']} for ${labels['transport']}`

/** Every threshold: one figure, its bound, and what is said above it. */
export function thresholdRules(bounds: ThresholdBounds): Rule[] {
  return [
    ...brokerRules(bounds),
    ...outboxRules(bounds),
    ...sagaRules(bounds),
    ...jobRules(bounds),
    {
      name: 'parked-messages',
      metric: 'edp_parked_messages',
      // The dead ones are letters, and alert as such.
      where: (labels) => labels['status'] !== 'dead',
      by: ['consumer'],
      combine: 'sum',
      max: bounds.parkedMessagesMax,
      forMs: bounds.holdMs,
      severity: 'warning',
      runbook: 'dead-letters.md',
      summary: (value, labels) =>
        `${counted(value, 'message')} of ${labels['consumer']} parked for another attempt`,
    },
  ]
}

function brokerRules(bounds: ThresholdBounds): Rule[] {
  const isDeadLetterQueue = (labels: Sample['labels']): boolean =>
    labels['queue'] === bounds.deadLetterQueue
  const queues = {
    metric: queueMetric,
    by: ['queue'],
    combine: 'sum',
    severity: 'warning',
  } as const
  return [
    {
      ...queues,
      name: 'queue-depth',
      where: (labels) => !isDeadLetterQueue(labels),
      max: bounds.queueMessagesMax,
      forMs: bounds.holdMs,
      runbook: 'broker-down.md',
      summary: (value, labels) => `${counted(value, 'message')} in the queue ${labels['queue']}`,
    },
    {
      ...queues,
      name: 'dead-letter-queue-depth',
      where: isDeadLetterQueue,
      // The alerter itself empties it.
      max: 0,
      forMs: bounds.unreadableMs,
      runbook: 'dead-letters.md',
      summary: (value, labels) =>
        `${counted(value, 'message')} in ${labels['queue']} that the alerter does not take in`,
    },
    {
      name: 'consumer-lag',
      metric: 'edp_consumer_lag_messages',
      by: ['consumer', 'topic'],
      combine: 'sum',
      max: bounds.consumerLagMessagesMax,
      forMs: bounds.holdMs,
      severity: 'warning',
      runbook: 'broker-down.md',
      summary: (value, labels) =>
        `${labels['consumer']} is ${counted(value, 'message')} behind on ${labels['topic']}`,
    },
  ]
}

function outboxRules(bounds: ThresholdBounds): Rule[] {
  const outbox = { by: ['database', 'transport'], combine: 'max', runbook: 'relay-lag.md' } as const
  return [
    {
      ...outbox,
      name: 'outbox-age',
      metric: 'edp_outbox_oldest_pending_seconds',
      max: bounds.outboxAgeMaxMs / 1000,
      forMs: bounds.holdMs,
      severity: 'critical',
      summary: (value, labels) =>
        `The oldest row in ${outboxOf(labels)} has waited for ${seconds(value)}`,
    },
    {
      ...outbox,
      name: 'outbox-paused',
      metric: 'edp_outbox_paused_destinations',
      max: 0,
      forMs: bounds.holdMs,
      severity: 'critical',
      runbook: 'broker-down.md',
      summary: (value, labels) =>
        `${counted(value, 'destination')} of ${outboxOf(labels)} ${value === 1 ? 'takes' : 'take'} nothing at the moment`,
    },
    {
      ...outbox,
      name: 'outbox-blocked',
      metric: 'edp_outbox_dead_rows',
      // The dead ones are letters, and alert as such.
      where: (labels) => labels['status'] === 'waiting',
      max: 0,
      forMs: 0,
      severity: 'critical',
      summary: (value, labels) =>
        `${counted(value, 'row')} of ${outboxOf(labels)} ${value === 1 ? 'waits' : 'wait'} behind one of the same key that can never be published`,
    },
    {
      ...outbox,
      name: 'outbox-dead-without-letter',
      metric: 'edp_outbox_dead_without_letter_total',
      max: 0,
      forMs: 0,
      severity: 'critical',
      summary: (value, labels) =>
        `${counted(value, 'row')} of ${outboxOf(labels)} died without a dead letter, most likely being one`,
    },
    {
      ...outbox,
      name: 'outbox-missed-rows',
      metric: 'edp_outbox_missed_rows_total',
      max: 0,
      forMs: 0,
      severity: 'warning',
      summary: (value, labels) =>
        `${counted(value, 'row')} of ${outboxOf(labels)} passed over by the relay and found by its scan from zero, which should never be`,
    },
  ]
}

function sagaRules(bounds: ThresholdBounds): Rule[] {
  const sagas = { by: ['definition'], runbook: 'stuck-saga.md' } as const
  return [
    {
      ...sagas,
      name: 'saga-needs-human',
      metric: 'edp_saga_active',
      where: (labels) => labels['status'] === 'needs_human',
      combine: 'sum',
      max: 0,
      forMs: 0,
      severity: 'critical',
      summary: (value, labels) =>
        `${counted(value, 'saga')} of ${labels['definition']} ${value === 1 ? 'waits' : 'wait'} for a person (needs_human)`,
    },
    {
      ...sagas,
      name: 'saga-stuck',
      metric: 'edp_saga_oldest_active_seconds',
      combine: 'max',
      max: bounds.sagaAgeMaxMs / 1000,
      forMs: bounds.holdMs,
      severity: 'warning',
      summary: (value, labels) =>
        `A saga of ${labels['definition']} has been under way for ${seconds(value)}`,
    },
    {
      ...sagas,
      name: 'saga-timer-lag',
      metric: 'edp_saga_timer_lag_seconds',
      combine: 'max',
      max: bounds.dueLagMaxMs / 1000,
      forMs: bounds.holdMs,
      severity: 'warning',
      summary: (value, labels) =>
        `A timer of a saga of ${labels['definition']} is overdue by ${seconds(value)}`,
    },
    {
      name: 'payment-due-lag',
      metric: 'edp_payment_due_lag_seconds',
      by: [],
      combine: 'max',
      max: bounds.dueLagMaxMs / 1000,
      forMs: bounds.holdMs,
      severity: 'warning',
      runbook: 'stuck-saga.md',
      summary: (value) => `A payment has been due at the gateway for ${seconds(value)}`,
    },
  ]
}

function jobRules(bounds: ThresholdBounds): Rule[] {
  const jobs = { by: ['queue'], combine: 'max', severity: 'warning', runbook: 'jobs.md' } as const
  return [
    {
      ...jobs,
      name: 'jobs-waiting',
      metric: 'edp_queue_jobs',
      where: (labels) => labels['state'] === 'waiting',
      max: bounds.jobsWaitingMax,
      forMs: bounds.holdMs,
      summary: (value, labels) =>
        `${counted(value, 'job')} waiting in the queue ${labels['queue']}`,
    },
    {
      ...jobs,
      name: 'jobs-failed',
      metric: 'edp_queue_jobs',
      where: (labels) => labels['state'] === 'failed',
      max: bounds.jobsFailedMax,
      forMs: 0,
      summary: (value, labels) => `${counted(value, 'failed job')} in the queue ${labels['queue']}`,
    },
    {
      ...jobs,
      name: 'jobs-stalled',
      metric: 'edp_queue_jobs_stalled_recently',
      max: 0,
      forMs: 0,
      summary: (value, labels) =>
        `${counted(value, 'job')} of the queue ${labels['queue']} stalled lately: a process ended or hung with it`,
    },
    {
      ...jobs,
      name: 'notification-due-lag',
      metric: 'edp_notification_due_lag_seconds',
      by: [],
      max: bounds.dueLagMaxMs / 1000,
      forMs: bounds.holdMs,
      summary: (value) => `A notification has been due for ${seconds(value)}`,
    },
  ]
}

/** The metrics that the rules are about: nothing else of a service's page is read. */
export function metricsOf(bounds: ThresholdBounds): ReadonlySet<string> {
  return new Set(thresholdRules(bounds).map(({ metric }) => metric))
}
