import { AppError } from '@edp/runtime'
import type { StepKey } from '../ledger.ts'

/** A command about a step. A fence has no row of its own: it is about the row of the do. */
export interface StepCommand extends Omit<StepKey, 'direction'> {
  readonly direction: StepKey['direction'] | 'fence'
}

/** A step as one string, the name of its row in memory. A saga id and a step contain no slash. */
export function formatStep(key: StepCommand): string {
  return `${key.sagaId}/${key.step}/${key.direction}`
}

/**
 * The step that `formatStep` named.
 * @throws AppError when the text names none: a handler's `keys` has a bug
 */
export function parseStep(name: string): StepCommand {
  const [sagaId, step, way, ...rest] = name.split('/')
  if (sagaId && step && (way === 'do' || way === 'undo' || way === 'fence') && rest.length === 0) {
    return { sagaId, step, direction: way }
  }
  throw new AppError('bad-step-key', `${name} is not sagaId/step/do|undo|fence`, {
    retry: 'permanent',
  })
}
