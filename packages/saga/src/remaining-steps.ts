import type { Definition, Direction } from './definition.ts'
import type { SagaState } from './state.ts'
import { unreachable } from './unreachable.ts'

/** A step that is still to be done or undone. */
export interface RemainingStep {
  readonly step: string
  readonly direction: Direction
  /** Whether its command is under way; the others have not been sent yet. */
  readonly underWay: boolean
}

/** What a saga will still do if nothing else comes between, for people: the present step first. */
export function remainingSteps<Context>(
  { steps }: Definition<Context>,
  state: SagaState<Context>,
): RemainingStep[] {
  if (state.status === 'completed' || state.status === 'compensated') return []
  const names = steps.map((step) => step.name)
  const index = names.indexOf(state.step)
  const present: RemainingStep = { step: state.step, direction: state.direction, underWay: true }
  switch (state.direction) {
    case 'do':
      return [present, ...laterOf(names.slice(index + 1), 'do')]
    // A fence decides what comes then; while it is asked, only it is certain.
    case 'fence':
      return [present]
    case 'undo':
      return [present, ...laterOf(names.slice(0, Math.max(index, 0)).toReversed(), 'undo')]
    default:
      return unreachable(state)
  }
}

function laterOf(names: readonly string[], direction: Direction): RemainingStep[] {
  return names.map((step) => ({ step, direction, underWay: false }))
}
