/** One figure of a benchmark. */
export interface Row {
  readonly benchmark: string
  readonly metric: string
  readonly value: number
  /** `ms`, `events/s`; empty for a ratio or a count. */
  readonly unit: string
  readonly settings: Readonly<Record<string, string | number>>
}

/** What the runner gives a benchmark. */
export interface BenchmarkContext {
  /** Progress, for people. */
  log: (line: string) => void
}
