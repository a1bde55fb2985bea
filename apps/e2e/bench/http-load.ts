import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'undici'

/** Sends one request and gives what was answered, or throws. */
export type Send = (index: number) => Promise<void>

/** What a load did. */
export interface LoadResult {
  sent: number
  failed: number
  seconds: number
  /** For each request that succeeded, from when it was due to its answer. */
  latenciesMs: number[]
}

/** As many requests as `connections` can carry, one after the other on each, for so long. */
export async function closedLoop(
  send: Send,
  options: { connections: number; seconds: number },
): Promise<LoadResult> {
  const result: LoadResult = { sent: 0, failed: 0, seconds: 0, latenciesMs: [] }
  const startedAt = performance.now()
  const endsAt = startedAt + options.seconds * 1000
  const connection = async (): Promise<void> => {
    while (performance.now() < endsAt) await timed(send, result, performance.now())
  }
  await Promise.all(Array.from({ length: options.connections }, connection))
  result.seconds = (performance.now() - startedAt) / 1000
  return result
}

/**
 * So many requests a second whatever the answers do, for so long. Latency counts from the moment a request was due, so a
 * server that stalls is charged for those that it kept from being sent (Gil Tene's coordinated omission).
 */
export async function openLoop(
  send: Send,
  options: { perSecond: number; seconds: number },
): Promise<LoadResult> {
  const result: LoadResult = { sent: 0, failed: 0, seconds: 0, latenciesMs: [] }
  const startedAt = performance.now()
  const total = Math.round(options.perSecond * options.seconds)
  const all: Promise<void>[] = []
  while (all.length < total) {
    const now = performance.now()
    const due = Math.min(total, Math.floor(((now - startedAt) / 1000) * options.perSecond) + 1)
    while (all.length < due) {
      all.push(timed(send, result, startedAt + (all.length / options.perSecond) * 1000))
    }
    await sleep(1)
  }
  await Promise.all(all)
  result.seconds = (performance.now() - startedAt) / 1000
  return result
}

async function timed(send: Send, result: LoadResult, dueAt: number): Promise<void> {
  result.sent += 1
  try {
    await send(result.sent)
    result.latenciesMs.push(performance.now() - dueAt)
  } catch {
    result.failed += 1
  }
}

/** The value below which a share of the values lies; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0
}

/** POSTs JSON and reads the answer. @throws Error with the status when it is not `status` */
export async function post(
  pool: Pool,
  path: string,
  options: { body: string; headers: Record<string, string>; status: number },
): Promise<string> {
  const { statusCode, body } = await pool.request({
    path,
    method: 'POST',
    headers: { 'content-type': 'application/json', ...options.headers },
    body: options.body,
  })
  const text = await body.text()
  if (statusCode !== options.status) throw new Error(`POST ${path}: ${statusCode} ${text}`)
  return text
}
