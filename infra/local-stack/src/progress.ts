/** One line of progress for a person, on standard error: standard output is for results. */
export function progress(line: string): void {
  process.stderr.write(`stack: ${line}\n`)
}

/** Seconds since `startedMs` (of `performance.now()`), as people read them. */
export function secondsSince(startedMs: number): string {
  return `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
}
