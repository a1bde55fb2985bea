import type { Content, Status } from './notification.ts'

/** A notification as its job sees it. */
export interface JobRow {
  readonly id: string
  readonly orderId: string | null
  readonly recipient: string
  readonly content: Content
  readonly status: Status
  readonly round: number
  readonly isQueued: boolean
  /** Negative or 0 when it is due. */
  readonly dueInMs: number
  readonly leaseOwner: string | null
  /** Negative, or null, when nobody has it. */
  readonly leaseInMs: number | null
  readonly attempts: number
  readonly error: { readonly code: string; readonly message: string } | null
  readonly firstFailedAt: Date | null
  readonly lastFailedAt: Date | null
  readonly isDeadLettered: boolean
  readonly redriveId: string | null
  readonly causationId: string | null
  readonly coordination: 'choreographed' | 'orchestrated' | null
  readonly traceparent: string | null
}

/** Whether a job may send its notification now. */
export type Claim =
  | { readonly kind: 'claimed'; readonly row: JobRow }
  /** Somebody else is sending it, or it is not due yet: to be asked again then. */
  | { readonly kind: 'later'; readonly inMs: number }
  | { readonly kind: 'nothing-to-do'; readonly status: Status | 'unknown' }

/** Sent only while nobody has sent it, given it up or cancelled it, and by one at a time. */
export function judgeClaim(row: JobRow | undefined): Claim {
  if (row === undefined) return { kind: 'nothing-to-do', status: 'unknown' }
  if (row.status !== 'pending') return { kind: 'nothing-to-do', status: row.status }
  if (row.dueInMs > 0) return { kind: 'later', inMs: row.dueInMs }
  if (row.leaseInMs !== null && row.leaseInMs > 0) return { kind: 'later', inMs: row.leaseInMs }
  return { kind: 'claimed', row }
}

/** What an attempt came to, or why there will be none. */
export type Outcome =
  | { readonly kind: 'sent'; readonly response: string }
  /** Refused for now: the job tries again. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string }
  /** Refused for good. */
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  /** Not tried: the provider is away. Uses no attempt. */
  | { readonly kind: 'released' }
  /** Its job has used up its attempts, or was lost with its process too often. */
  | {
      readonly kind: 'exhausted'
      readonly round: number
      readonly isStalled: boolean
      readonly message: string
    }

export type DeathReason = 'permanent' | 'attempts-exhausted' | 'process-killed'

/** A row after an outcome, and what its dead letter is to say. */
export interface Settled {
  readonly row: JobRow
  readonly response: string | null
  readonly told: 'dead' | 'resolved' | undefined
  readonly reason: DeathReason | undefined
}

/**
 * What becomes of a row. `sent` counts whoever says it and whatever happened meanwhile, a cancellation too: the e-mail is out.
 * Everything else counts only for the owner of the lease, or for the present round. Undefined: nothing.
 */
export function settle(
  row: JobRow,
  outcome: Outcome,
  { owner, now }: { owner: string | null; now: Date },
): Settled | undefined {
  const free = { ...row, leaseOwner: null, leaseInMs: null }
  if (outcome.kind === 'sent') {
    if (row.status === 'sent') return undefined
    return {
      row: { ...free, status: 'sent', isDeadLettered: false },
      response: outcome.response,
      told: row.isDeadLettered ? 'resolved' : undefined,
      reason: undefined,
    }
  }
  if (row.status !== 'pending') return undefined
  const untold = { response: null, told: undefined, reason: undefined }
  if (outcome.kind === 'exhausted') {
    // One that was redriven since, or is about to get a new job, is not what failed.
    if (!row.isQueued || row.round !== outcome.round) return undefined
    const code = outcome.isStalled ? 'job-stalled' : 'job-failed'
    // What the provider said last; a job that never got so far says itself what was wrong.
    const error = (outcome.isStalled ? null : row.error) ?? { code, message: outcome.message }
    const reason = outcome.isStalled ? 'process-killed' : 'attempts-exhausted'
    return { ...untold, row: dead({ ...free, error }, now), told: 'dead', reason }
  }
  if (row.leaseOwner !== owner) return undefined
  if (outcome.kind === 'released') return { ...untold, row: free }
  const failed = {
    ...free,
    attempts: row.attempts + 1,
    error: { code: outcome.code, message: outcome.message },
    firstFailedAt: row.firstFailedAt ?? now,
    lastFailedAt: now,
  }
  if (outcome.kind === 'failed') return { ...untold, row: failed }
  return { ...untold, row: dead(failed, now), told: 'dead', reason: 'permanent' }
}

function dead(row: JobRow, now: Date): JobRow {
  return {
    ...row,
    status: 'dead',
    isDeadLettered: true,
    firstFailedAt: row.firstFailedAt ?? now,
    lastFailedAt: row.lastFailedAt ?? now,
  }
}

/** Tried again from the start, under a new job. One that is being tried already goes on, for this redrive too. */
export function redriven(row: JobRow, redriveId: string): JobRow {
  if (row.status !== 'dead') return { ...row, redriveId }
  return {
    ...row,
    status: 'pending',
    round: row.round + 1,
    isQueued: false,
    attempts: 0,
    redriveId,
  }
}

/** Given up by a person. */
export function givenUp(row: JobRow): JobRow {
  return { ...row, status: 'cancelled', isDeadLettered: false }
}
