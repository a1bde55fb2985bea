import { duration, type Finding } from './alert.ts'
import type { Sample } from './prometheus-text.ts'
import { type Rule, seconds, type ThresholdBounds, thresholdRules } from './threshold-rules.ts'

/** What one source said when it was last read, why it cannot be read, or that nobody has tried yet. */
export type Reading =
  | { readonly source: string; readonly kind: 'read'; readonly samples: readonly Sample[] }
  | { readonly source: string; readonly kind: 'unreadable'; readonly error: string }
  | { readonly source: string; readonly kind: 'unread' }

/** What holds by the figures. A source that cannot be read is a finding too: silence would look like health. */
export function thresholdFindings(
  readings: readonly Reading[],
  bounds: ThresholdBounds,
): Finding[] {
  const rules = thresholdRules(bounds)
  return readings.flatMap((reading) => {
    if (reading.kind === 'unread') return []
    if (reading.kind === 'unreadable') return [unreadableFinding(reading, bounds)]
    return rules.flatMap((rule) =>
      figuresOf(rule, reading.samples).flatMap(findingOf(rule, reading.source)),
    )
  })
}

function unreadableFinding(
  { source, error }: { source: string; error: string },
  { unreadableMs }: ThresholdBounds,
): Finding {
  const rule = 'source-unreadable'
  return {
    key: `${rule}/${source}`,
    rule,
    // Of no source that can be silent: what says that a source is silent ends when it speaks.
    source: rule,
    severity: 'critical',
    summary: `${source} cannot be read for ${duration(unreadableMs)} or more, so nothing of it would alert: ${error}`,
    labels: { source },
    path: '/alerts?status=firing',
    runbook: 'broker-down.md',
    level: 1,
    forMs: unreadableMs,
  }
}

interface Figure {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

function figuresOf(rule: Rule, samples: readonly Sample[]): Figure[] {
  const figures = new Map<string, Figure>()
  for (const sample of samples) {
    if (sample.name !== rule.metric || rule.where?.(sample.labels) === false) continue
    const labels = Object.fromEntries(rule.by.map((name) => [name, sample.labels[name] ?? '']))
    const id = JSON.stringify(labels)
    const before = figures.get(id)?.value
    const value = before === undefined ? sample.value : combine(rule, before, sample.value)
    figures.set(id, { labels, value })
  }
  return [...figures.values()]
}

const combine = (rule: Rule, a: number, b: number): number =>
  rule.combine === 'sum' ? a + b : Math.max(a, b)

function findingOf(rule: Rule, source: string): (figure: Figure) => Finding[] {
  return ({ labels, value }) => {
    if (value <= rule.max) return []
    const names = Object.entries(labels).map(([name, is]) => `${name}=${is}`)
    const bound =
      rule.max === 0
        ? ''
        : ` (bound ${rule.metric.endsWith('_seconds') ? seconds(rule.max) : rule.max})`
    return [
      {
        key: [rule.name, source, ...names].join('/'),
        rule: rule.name,
        source,
        severity: rule.severity,
        summary: `${rule.summary(value, labels)}${bound}`,
        labels: { ...labels, source },
        path: '/alerts?status=firing',
        runbook: rule.runbook,
        level: timesOver(value, rule.max),
        forMs: rule.forMs,
      },
    ]
  }
}

// Told again at ten times the bound, a hundred times, and so on.
function timesOver(value: number, max: number): number {
  return 1 + Math.floor(Math.log10(Math.max(1, value / Math.max(1, max))) + 1e-9)
}
