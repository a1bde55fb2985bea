import { Counter, collectDefaultMetrics, Gauge, Histogram, register } from 'prom-client'

export type { Counter, Gauge, Histogram } from 'prom-client'

// Metrics are got or made: a module that two components use, or a test that builds a service twice,
// names the same metric twice, which prom-client refuses.

/** The counter `name`; it ends in `_total`. */
export function counter<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Counter<L> {
  const existing = register.getSingleMetric(name)
  return existing instanceof Counter ? existing : new Counter({ name, help, labelNames })
}

/** The gauge `name`. */
export function gauge<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
): Gauge<L> {
  const existing = register.getSingleMetric(name)
  return existing instanceof Gauge ? existing : new Gauge({ name, help, labelNames })
}

/** From a millisecond to a minute, for durations in seconds. */
export const durationBuckets: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
]

/** The histogram `name`, in base units (seconds, bytes). */
export function histogram<L extends string>(
  name: string,
  help: string,
  labelNames: readonly L[] = [],
  buckets: readonly number[] = durationBuckets,
): Histogram<L> {
  const existing = register.getSingleMetric(name)
  if (existing instanceof Histogram) return existing
  return new Histogram({ name, help, labelNames, buckets: [...buckets] })
}

/** Adds memory, event loop lag and `process_cpu_seconds_total` of this process, once. */
export function collectProcessMetrics(): void {
  if (register.getSingleMetric('process_cpu_seconds_total') === undefined) collectDefaultMetrics()
}

/** Everything in the Prometheus text format, and its content type. */
export async function renderMetrics(): Promise<{ contentType: string; body: string }> {
  return { contentType: register.contentType, body: await register.metrics() }
}
