/** How a redrive stands. `paused`: its canary failed, a person decides. */
export type RedriveState = 'running' | 'paused' | 'done' | 'cancelled'

/** How its first letters fared: the others follow when all of them are resolved, or when a person says so. */
export type CanaryState = 'none' | 'pending' | 'passed' | 'failed' | 'overridden'

/** Sending letters back, as one operation. */
export interface Redrive {
  readonly redriveId: string
  readonly by: string
  readonly ratePerSecond: number
  readonly canary: number
  readonly canaryState: CanaryState
  readonly state: RedriveState
}

/** How many of its letters stand where; each counted at most to one more than the canary. */
export interface LetterCounts {
  readonly pending: number
  readonly sent: number
  readonly resolved: number
  readonly failed: number
}

/** What to do next, and how its canary stands then. */
export type NextStep =
  | { readonly kind: 'send'; readonly limit: number; readonly canaryState: CanaryState }
  | { readonly kind: 'wait'; readonly canaryState: CanaryState }
  | { readonly kind: 'pause' | 'end'; readonly canaryState: CanaryState }

/** Decides the next step of a running redrive. `limit` is how many letters may be sent at once. */
export function nextStep(redrive: Redrive, counts: LetterCounts, limit: number): NextStep {
  const { canaryState } = redrive
  if (canaryState !== 'pending') return stepOfAll(counts, limit, canaryState)
  const { pending, sent, resolved, failed } = counts
  if (failed > 0) return stepOfFailed(counts)
  const missing = redrive.canary - sent - resolved
  if (missing > 0 && pending > 0) {
    return { kind: 'send', limit: Math.min(missing, limit), canaryState }
  }
  return sent > 0 ? { kind: 'wait', canaryState } : stepOfAll(counts, limit, 'passed')
}

function stepOfFailed({ pending, sent }: LetterCounts): NextStep {
  if (pending > 0) return { kind: 'pause', canaryState: 'failed' }
  return { kind: sent > 0 ? 'wait' : 'end', canaryState: sent > 0 ? 'pending' : 'failed' }
}

function stepOfAll(
  { pending, sent }: LetterCounts,
  limit: number,
  canaryState: CanaryState,
): NextStep {
  if (pending > 0) return { kind: 'send', limit, canaryState }
  return { kind: sent > 0 ? 'wait' : 'end', canaryState }
}

/** What a person may do with a redrive: undefined when it is not in a state for it. */
export function operated(redrive: Redrive, verb: 'cancel' | 'resume'): Redrive | undefined {
  const { state, canaryState } = redrive
  if (verb === 'cancel') {
    return state === 'running' || state === 'paused'
      ? { ...redrive, state: 'cancelled' }
      : undefined
  }
  if (state !== 'paused') return undefined
  return {
    ...redrive,
    state: 'running',
    canaryState: canaryState === 'failed' ? 'overridden' : canaryState,
  }
}
