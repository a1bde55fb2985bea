import { randomUUID } from 'node:crypto'
import type { Component, Database, Health, Logger } from '@edp/runtime'
import type { HttpApp } from '@edp/runtime/http'
import { createAlertQueries } from './alert-queries.ts'
import { alertRoutes } from './alert-routes.ts'
import { configuredChannels } from './channels/configured.ts'
import { createEvaluation } from './evaluation.ts'
import type { LetterBounds } from './letter-conditions.ts'
import { createSender, type SenderBounds } from './sender.ts'
import type { AlertingSettings } from './settings.ts'
import {
  createSourceWatch,
  metricsSources,
  rabbitmqSource,
  type Source,
  type SourceGroup,
} from './sources.ts'
import { metricsOf, type ThresholdBounds } from './threshold-rules.ts'
import { createNotificationUpkeep } from './upkeep.ts'

/** Alerting as one part of the service. */
export interface Alerting extends Component {
  /** Adds `GET /alerts` and `GET /notifications`. Before the server listens. */
  register(app: HttpApp): Promise<void>
  /** Says that letters have changed: they are looked at now and not at the next round. */
  poke(): void
}

/** What `createAlerting` needs. */
export interface AlertingOptions {
  readonly settings: AlertingSettings
  readonly database: Database
  readonly logger: Logger
  readonly health: Health
}

/**
 * Watches letters, queues, consumers, outboxes and sagas, decides what a person has to know, and tells it: what is decided
 * is written with its notifications in one transaction, and what is written is delivered at least once.
 * @throws Error when the settings name a channel that is not set up
 */
export function createAlerting(options: AlertingOptions): Alerting {
  const { settings, database, logger, health } = options
  const channels = configuredChannels(settings, logger)
  const thresholdBounds = thresholdBoundsOf(settings)
  const watch = createSourceWatch({
    sources: sourcesOf(settings, thresholdBounds),
    intervalMs: settings.ALERT_READ_INTERVAL_MS,
    timeoutMs: settings.ALERT_READ_TIMEOUT_MS,
    logger,
  })
  const senders = channels.all.map((channel) =>
    createSender({
      database,
      channel,
      fallback: channels.fallbackOf(channel.name),
      bounds: senderBoundsOf(settings),
      logger,
    }),
  )
  const evaluation = createEvaluation({
    database,
    logger,
    owner: randomUUID(),
    intervalMs: settings.ALERT_EVALUATE_INTERVAL_MS,
    readings: () => watch.readings(),
    letterBounds: letterBoundsOf(settings),
    thresholdBounds,
    resolveAfterMs: settings.ALERT_RESOLVE_AFTER_MS,
    channels: channels.all.map(({ name }) => name),
    heartbeat: { channel: channels.heartbeat, intervalMs: settings.ALERT_HEARTBEAT_INTERVAL_MS },
    namespace: settings.MESSAGING_NAMESPACE,
    publicUrl: settings.PUBLIC_URL,
    runbookBaseUrl: settings.RUNBOOK_BASE_URL,
    onTold: () => {
      for (const sender of senders) sender.poke()
    },
  })
  health.register(evaluation.name, () => evaluation.report())
  const upkeep = createNotificationUpkeep({ database, channels, logger, health })
  const parts = [...senders, upkeep, watch.loop, evaluation]
  return {
    name: 'alerting',
    poke: () => evaluation.poke(),
    async register(app) {
      const queries = createAlertQueries(database.reads)
      await app.register(alertRoutes, { queries, namespace: settings.MESSAGING_NAMESPACE })
    },
    async start() {
      await Promise.all(parts.map((part) => part.start()))
    },
    // The senders last: what the last evaluation wrote may still go out.
    async stop() {
      await Promise.all([evaluation.stop(), watch.loop.stop(), upkeep.stop()])
      await Promise.all(senders.map((sender) => sender.stop()))
    },
  }
}

const host = 'http://127.0.0.1'
const defaultMetricsUrls: Readonly<Record<string, string>> = {
  'order-service': `${host}:7101/metrics`,
  'inventory-service': `${host}:7102/metrics`,
  'payment-service': `${host}:7103/metrics`,
  'outbox-relay': `${host}:7104/metrics`,
  'dlq-alerter': `${host}:7105/metrics`,
  'notification-service': `${host}:7106/metrics`,
  'order-statistics': `${host}:7108/metrics`,
}

function sourcesOf(settings: AlertingSettings, bounds: ThresholdBounds): (Source | SourceGroup)[] {
  const wanted = metricsOf(bounds)
  const pages = Object.entries(settings.METRICS_URLS ?? defaultMetricsUrls)
  return [
    ...pages.map(([name, url]) => metricsSources(name, url, wanted)),
    rabbitmqSource({
      url: settings.RABBITMQ_MANAGEMENT_URL,
      amqpUrl: settings.RABBITMQ_URL,
      namespace: settings.MESSAGING_NAMESPACE,
    }),
  ]
}

function letterBoundsOf(settings: AlertingSettings): LetterBounds {
  return {
    floodLettersPerMinute: settings.ALERT_FLOOD_LETTERS_PER_MINUTE,
    groupsPerMinuteMax: settings.ALERT_GROUPS_PER_MINUTE_MAX,
    openLevelMs: settings.ALERT_OPEN_LEVEL_MS,
    openAgeMaxMs: settings.ALERT_OPEN_AGE_MAX_MS,
  }
}

function thresholdBoundsOf(settings: AlertingSettings): ThresholdBounds {
  return {
    queueMessagesMax: settings.ALERT_QUEUE_MESSAGES_MAX,
    deadLetterQueue: `${settings.MESSAGING_NAMESPACE}.dlq`,
    consumerLagMessagesMax: settings.ALERT_CONSUMER_LAG_MESSAGES_MAX,
    outboxAgeMaxMs: settings.ALERT_OUTBOX_AGE_MAX_MS,
    parkedMessagesMax: settings.ALERT_PARKED_MESSAGES_MAX,
    sagaAgeMaxMs: settings.ALERT_SAGA_AGE_MAX_MS,
    dueLagMaxMs: settings.ALERT_DUE_LAG_MAX_MS,
    jobsWaitingMax: settings.ALERT_JOBS_WAITING_MAX,
    jobsFailedMax: settings.ALERT_JOBS_FAILED_MAX,
    holdMs: settings.ALERT_HOLD_MS,
    unreadableMs: settings.ALERT_UNREADABLE_MS,
  }
}

function senderBoundsOf(settings: AlertingSettings): SenderBounds {
  return {
    attemptTimeoutMs: settings.ALERT_ATTEMPT_TIMEOUT_MS,
    backoff: { baseMs: 1000, capMs: 60_000 },
    retryAfterMaxMs: 600_000,
    fallbackAfterMs: settings.ALERT_FALLBACK_AFTER_MS,
    attemptsMax: settings.ALERT_ATTEMPTS_MAX,
    pollIntervalMs: 1000,
  }
}
