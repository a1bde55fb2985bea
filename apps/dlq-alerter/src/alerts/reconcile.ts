import type { Alert, Finding, StoredAlert } from './alert.ts'

/** What becomes of one alert: its next state, null when it is forgotten, and what is told of it. */
export interface Change {
  /** Null for an alert that begins. */
  readonly alertId: number | null
  readonly next: Alert | null
  readonly tells: 'firing' | 'resolved' | null
}

/** What else decides. */
export interface Circumstances {
  readonly now: Date
  /** Sources that say nothing at the moment: neither that something holds nor that it does not. */
  readonly silentSources: ReadonlySet<string>
  /** What is said about it at the moment is not told: it neither begins nor is told again. */
  readonly isMuted: (finding: Finding) => boolean
  /** An alert ends only when its condition has not held for so long: what flaps is one alert. */
  readonly resolveAfterMs: number
}

/**
 * Compares what holds with what was told, and says what is to change. Pure, so that the same facts lead to the same alerts in
 * whichever process evaluates them.
 */
export function reconcile(
  alerts: readonly StoredAlert[],
  findings: readonly Finding[],
  circumstances: Circumstances,
): Change[] {
  const known = new Map(alerts.map((alert) => [alert.key, alert]))
  const holding = new Set(findings.map(({ key }) => key))
  const changes: (Change | undefined)[] = []
  for (const finding of findings) {
    const alert = known.get(finding.key)
    changes.push(alert ? goesOn(alert, finding, circumstances) : begins(finding, circumstances))
  }
  for (const alert of alerts) {
    if (!holding.has(alert.key)) changes.push(isQuiet(alert, circumstances))
  }
  return changes.filter((change) => change !== undefined)
}

function begins(finding: Finding, { now, isMuted }: Circumstances): Change | undefined {
  if (isMuted(finding)) return undefined
  const { forMs, ...rest } = finding
  const status = forMs === 0 ? 'firing' : 'pending'
  return {
    alertId: null,
    next: { ...rest, status, startsAt: now, quietSince: null, endsAt: null },
    tells: status === 'firing' ? 'firing' : null,
  }
}

function goesOn(
  alert: StoredAlert,
  finding: Finding,
  { now, isMuted }: Circumstances,
): Change | undefined {
  const { alertId, ...state } = alert
  const { forMs, ...rest } = finding
  const muted = isMuted(finding)
  const heldMs = now.getTime() - alert.startsAt.getTime()
  const fires = alert.status === 'firing' || (!muted && heldMs >= forMs)
  const tells = fires && !muted && (alert.status === 'pending' || finding.level > alert.level)
  const level = tells ? Math.max(finding.level, alert.level) : alert.level
  const next: Alert = {
    ...state,
    ...rest,
    level,
    status: fires ? 'firing' : 'pending',
    quietSince: null,
  }
  const changed = tells || alert.quietSince !== null || alert.summary !== next.summary
  return changed ? { alertId, next, tells: tells ? 'firing' : null } : undefined
}

function isQuiet(
  alert: StoredAlert,
  { now, silentSources, resolveAfterMs }: Circumstances,
): Change | undefined {
  if (silentSources.has(alert.source)) return undefined
  const { alertId, ...state } = alert
  // Nobody has heard of it.
  if (alert.status === 'pending') return { alertId, next: null, tells: null }
  const quietSince = alert.quietSince ?? now
  if (now.getTime() - quietSince.getTime() < resolveAfterMs) {
    if (alert.quietSince !== null) return undefined
    return { alertId, next: { ...state, quietSince }, tells: null }
  }
  const next: Alert = { ...state, quietSince, status: 'resolved', endsAt: now }
  return { alertId, next, tells: 'resolved' }
}
