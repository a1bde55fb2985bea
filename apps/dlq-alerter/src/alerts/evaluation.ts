import {
  counter,
  createLoop,
  type Database,
  faultPoint,
  gauge,
  type Logger,
  type Loop,
  type Tx,
} from '@edp/runtime'
import { type Alert, counted, lettersSource, type Message, type StoredAlert } from './alert.ts'
import {
  giveEvaluationLeaseBack,
  readAlerts,
  takeEvaluationLease,
  type Told,
  writeChanges,
} from './alert-rows.ts'
import type { ChannelName } from './channels/channel.ts'
import { floodKey, groupRule, type LetterBounds, letterFindings } from './letter-conditions.ts'
import { readLetterFacts } from './letter-facts.ts'
import { enqueueHeartbeat, enqueueNotifications } from './notification-rows.ts'
import { type Change, reconcile } from './reconcile.ts'
import type { ThresholdBounds } from './threshold-rules.ts'
import { type Reading, thresholdFindings } from './thresholds.ts'

const firing = gauge('edp_alerts_firing', 'Alerts that fire', ['rule'])
const toldTotal = counter('edp_alerts_told_total', 'Changes of alerts that were told', [
  'rule',
  'kind',
])

/** How an evaluation decides and what it writes. */
export interface EvaluationOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly logger: Logger
  /** Of this process. */
  readonly owner: string
  readonly intervalMs: number
  readonly readings: () => readonly Reading[]
  readonly letterBounds: LetterBounds
  readonly thresholdBounds: ThresholdBounds
  readonly resolveAfterMs: number
  readonly channels: readonly ChannelName[]
  readonly heartbeat: { readonly channel: ChannelName; readonly intervalMs: number }
  /** Unique among the deployments that share a receiver. */
  readonly namespace: string
  readonly publicUrl: string
  readonly runbookBaseUrl: string
  /** Told that there may be something to deliver. */
  readonly onTold: () => void
}

// While letters come in batch after batch, what they add to a flood waits for the next round.
const pokeSpacingMs = 250

/**
 * Decides again and again what alerts: reads what is so, compares it with what was told, and writes the difference and its
 * notifications, all in one transaction of the one process that has the lease. A process that is killed anywhere has told
 * all of it or nothing.
 */
export function createEvaluation(options: EvaluationOptions): Loop {
  const { database, intervalMs, logger, owner } = options
  const leaseMs = Math.max(10_000, intervalMs * 5)
  let endedAt = -Infinity
  const loop = createLoop({
    name: 'alert-evaluation',
    intervalMs,
    logger,
    work: async () => {
      const told = await database.transaction(async (tx) => {
        const now = await takeEvaluationLease(tx, { owner, leaseMs })
        if (!now) {
          // Whoever evaluates shows them.
          showFiring([])
          return []
        }
        const written = await evaluate(tx, options, now)
        await faultPoint('alerts.before-commit')
        return written
      })
      endedAt = performance.now()
      for (const { message } of told) toldTotal.inc({ rule: message.rule, kind: message.kind })
      if (told.length > 0) options.onTold()
    },
  })
  return {
    ...loop,
    poke() {
      if (performance.now() - endedAt >= pokeSpacingMs) loop.poke()
    },
    async stop() {
      await loop.stop()
      await database
        .transaction((tx) => giveEvaluationLeaseBack(tx, owner))
        .catch((error: unknown) => logger.warn({ err: error }, 'the lease ends by itself'))
    },
  }
}

async function evaluate(tx: Tx, options: EvaluationOptions, now: Date): Promise<Told[]> {
  const [facts, { live, begunLastMinute }] = await Promise.all([
    readLetterFacts(tx),
    readAlerts(tx),
  ])
  const groups = live.filter(({ rule, status }) => rule === groupRule && status === 'firing')
  const { findings: ofLetters, flood } = letterFindings({
    facts,
    told: {
      firingSince: new Map(groups.map(({ key, startsAt }) => [key, startsAt])),
      begunLastMinute,
      floodFires: live.some(({ key }) => key === floodKey),
    },
    bounds: options.letterBounds,
    now,
  })
  const readings = options.readings()
  const silent = readings.filter(({ kind }) => kind !== 'read').map(({ source }) => source)
  const findings = [...ofLetters, ...thresholdFindings(readings, options.thresholdBounds)]
  const changes = reconcile(live, findings, {
    now,
    // A group that could not be read with the others is not one that has no letters.
    silentSources: new Set(facts.truncated ? [...silent, lettersSource] : silent),
    isMuted: ({ source, key }) => flood && source === lettersSource && key !== floodKey,
    resolveAfterMs: options.resolveAfterMs,
  })
  const told = await writeChanges(tx, changes, (alert, kind) => messageOf(alert, kind, options))
  const names = options.channels
  await enqueueNotifications(tx, told, { channels: names, known: names })
  const alerts = liveAfter(live, changes)
  showFiring(alerts)
  await enqueueHeartbeat(tx, {
    ...options.heartbeat,
    message: heartbeatOf(options, { alerts, readings, now }),
  })
  return told
}

function messageOf(
  alert: Alert,
  kind: 'firing' | 'resolved',
  { namespace, publicUrl, runbookBaseUrl }: EvaluationOptions,
): Message {
  return {
    kind,
    dedupKey: `${namespace}/${alert.key}`,
    rule: alert.rule,
    severity: alert.severity,
    summary: alert.summary,
    labels: alert.labels,
    link: joined(publicUrl, alert.path),
    runbook: joined(runbookBaseUrl, alert.runbook),
    startsAt: alert.startsAt.toISOString(),
    endsAt: alert.endsAt?.toISOString() ?? null,
  }
}

function heartbeatOf(
  options: EvaluationOptions,
  seen: { alerts: readonly Alert[]; readings: readonly Reading[]; now: Date },
): Message {
  const { alerts, readings, now } = seen
  const unread = readings.filter(({ kind }) => kind !== 'read').length
  const fires = alerts.filter(({ status }) => status === 'firing').length
  return {
    kind: 'heartbeat',
    dedupKey: `${options.namespace}/heartbeat`,
    rule: 'heartbeat',
    severity: 'info',
    summary:
      `The alerter of ${options.namespace} lives: ${counted(fires, 'alert')} ${fires === 1 ? 'fires' : 'fire'}, ` +
      `${readings.length - unread} of ${counted(readings.length, 'source')} read`,
    labels: {},
    link: joined(options.publicUrl, '/alerts?status=firing'),
    runbook: joined(options.runbookBaseUrl, 'dead-letters.md'),
    startsAt: now.toISOString(),
    endsAt: null,
  }
}

const joined = (base: string, path: string): string =>
  `${base.replace(/\/$/, '')}/${path.replace(/^\//, '')}`

function liveAfter(before: readonly StoredAlert[], changes: readonly Change[]): Alert[] {
  const changed = new Set(changes.map(({ alertId }) => alertId))
  const next = changes.flatMap((change) => change.next ?? [])
  return [...before.filter(({ alertId }) => !changed.has(alertId)), ...next]
}

const rulesShown = new Set<string>()

// A rule that stops firing goes to 0 and does not vanish.
function showFiring(alerts: readonly Alert[]): void {
  const counts = new Map([...rulesShown].map((rule) => [rule, 0]))
  for (const { rule, status } of alerts) {
    if (status === 'firing') counts.set(rule, (counts.get(rule) ?? 0) + 1)
  }
  for (const [rule, count] of counts) {
    rulesShown.add(rule)
    firing.set({ rule }, count)
  }
}
