/** What a component says about itself. `degraded` works with less, so it stays ready. */
export type HealthReport = { status: 'ok' | 'degraded' | 'unhealthy'; detail?: string }

/** What readiness answers: the worst status, and each check by name. */
export type Readiness = {
  ready: boolean
  phase: 'starting' | 'started' | 'stopping'
  status: HealthReport['status']
  checks: Record<string, HealthReport>
}

/** The health of a process. Liveness is not here: answering at all is liveness. */
export type Health = {
  /** Adds a check. It reports what the component already knows and never waits. */
  register(name: string, check: () => HealthReport): void
  markStarted(): void
  markStopping(): void
  readonly stopping: boolean
  readiness(): Readiness
}

/**
 * Health of a process: not ready before the start has ended and once a stop has begun. A broker
 * outage is `degraded`, still ready, because the outbox absorbs it; `unhealthy` is not ready.
 */
export function createHealth(): Health {
  const checks = new Map<string, () => HealthReport>()
  let phase: Readiness['phase'] = 'starting'
  return {
    register(name, check) {
      checks.set(name, check)
    },
    markStarted() {
      if (phase === 'starting') phase = 'started'
    },
    markStopping() {
      phase = 'stopping'
    },
    get stopping() {
      return phase === 'stopping'
    },
    readiness() {
      const reports = [...checks].map(([name, check]) => [name, safely(check)] as const)
      const status = worst(reports.map(([, report]) => report.status))
      const ready = phase === 'started' && status !== 'unhealthy'
      return { ready, phase, status, checks: Object.fromEntries(reports) }
    },
  }
}

function safely(check: () => HealthReport): HealthReport {
  try {
    return check()
  } catch (error) {
    return { status: 'unhealthy', detail: String(error) }
  }
}

function worst(statuses: readonly HealthReport['status'][]): HealthReport['status'] {
  if (statuses.includes('unhealthy')) return 'unhealthy'
  return statuses.includes('degraded') ? 'degraded' : 'ok'
}
