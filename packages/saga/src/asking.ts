import type { Action, Direction, ResendPolicy, Step } from './definition.ts'
import type { ActiveState, Effect } from './state.ts'

// What a step asks for, and for how long an answer is waited for.

/** The command, or the local action, of a step in one direction. */
export function ask<Context>(
  step: Step<Context>,
  direction: Direction,
  { attempt, context }: { readonly attempt: number; readonly context: Context },
): Effect {
  const action = actionOf(step, direction)
  if (action.kind === 'remote') {
    const { command } = action
    const payload = action.payload(context)
    return { kind: 'command', step: step.name, direction, attempt, command, payload }
  }
  if (direction === 'fence') throw new Error(`${step.name} is local and cannot be fenced`)
  return { kind: 'local', step: step.name, direction, attempt, action: action.action }
}

function actionOf<Context>(step: Step<Context>, direction: Direction): Action<Context> {
  if (direction === 'do') return step.do
  if (direction === 'undo' && step.kind === 'compensatable') return step.undo
  if (direction === 'fence' && step.kind === 'pivot' && step.fence) return step.fence
  throw new Error(`the step ${step.name} has no ${direction}`)
}

/** Whether it is decided elsewhere, some time after it is asked. */
export function isRemote<Context>(step: Step<Context>): boolean {
  return step.do.kind === 'remote'
}

/** The deadline, where it still counts: not behind the pivot, not for what is being undone, not within a transaction. */
export function deadlineOf<Context>(
  step: Step<Context>,
  state: { readonly direction: Direction; readonly deadlineAt: number | null },
): number | null {
  if (state.direction !== 'do' || step.kind === 'retriable') return null
  return step.kind === 'pivot' && !isRemote(step) ? null : state.deadlineAt
}

/** How long may be waited before a person has to look; null where only waiting helps. */
export function silenceMaxMs<Context>(
  step: Step<Context>,
  state: ActiveState<Context>,
): number | null {
  if (state.status === 'needs_human') return null
  if (state.direction === 'undo' && step.kind === 'compensatable') return step.policy.undoSilenceMs
  if (state.direction === 'do' && step.kind === 'retriable') return step.policy.doSilenceMs
  return null
}

/** When an attempt is over: its answer is late, or the deadline has come. */
export function dueAtOf<Context>(
  step: Step<Context>,
  attempt: number,
  { now, deadlineAt }: { readonly now: number; readonly deadlineAt: number | null },
): number {
  const resendAt = now + resendDelayMs(step.policy, attempt)
  return deadlineAt === null ? resendAt : Math.min(resendAt, deadlineAt)
}

/** How long an attempt is waited for: doubled each time, up to the bound. */
export function resendDelayMs(
  { resendAfterMs, resendAfterMaxMs }: ResendPolicy,
  attempt: number,
): number {
  return Math.min(resendAfterMs * 2 ** (attempt - 1), resendAfterMaxMs)
}
