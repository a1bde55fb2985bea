import type {
  Action,
  Definition,
  LocalAction,
  RemoteAction,
  Step,
  Undoable,
} from '../definition.ts'
import { unreachable } from '../unreachable.ts'
import type { NetworkKind } from './network.ts'
import { realRules, type SagaRules } from './rules.ts'
import { sagaModel } from './saga-model.ts'
import { type Exploration, search } from './search.ts'

/** How a saga is explored. */
export interface ExploreOptions {
  readonly network: NetworkKind
  /** The steps whose effect takes place at a gateway, outside of every transaction. */
  readonly gatewaySteps?: readonly string[]
  readonly cancels?: number
  readonly skips?: number
  readonly rules?: SagaRules
  readonly worldsMax?: number
}

/**
 * Runs the real machine and the real rules of the ledger over everything that can happen to a saga, and gives back how many
 * worlds that is and the nearest one in which a property does not hold.
 */
export function exploreSaga<Context>(
  definition: Definition<Context>,
  {
    network,
    gatewaySteps = [],
    cancels = 1,
    skips = 1,
    rules = realRules,
    worldsMax,
  }: ExploreOptions,
): Exploration {
  // In a set the attempts of a command lie side by side for ever; in a bag a resend is the same message once more.
  const attemptsMax = network.model === 'set' ? 2 : 1
  const bare = skeleton(definition)
  const scenario = { definition: bare, network, gatewaySteps, cancels, skips, attemptsMax }
  return search(sagaModel(scenario, rules), worldsMax)
}

/** The definition without what its commands say: nothing is decided by that. */
function skeleton<Context>(definition: Definition<Context>): Definition<null> {
  return { ...definition, steps: definition.steps.map(withoutContext) }
}

function withoutContext<Context>(step: Step<Context>): Step<null> {
  switch (step.kind) {
    case 'compensatable':
      return { kind: step.kind, name: step.name, policy: step.policy, ...bareUndoable(step) }
    case 'pivot': {
      const { kind, name, policy } = step
      return step.fence
        ? { kind, name, policy, do: bareRemote(step.do), fence: bareRemote(step.fence) }
        : { kind, name, policy, do: bareLocal(step.do) }
    }
    case 'retriable':
      return { ...step, do: bareAction(step.do) }
    default:
      return unreachable(step)
  }
}

function bareUndoable<Context>(step: Undoable<Context>): Undoable<null> {
  return isUndoneElsewhere(step)
    ? { do: bareRemote(step.do), undo: bareRemote(step.undo) }
    : { do: bareLocal(step.do), undo: bareLocal(step.undo) }
}

function isUndoneElsewhere<Context>(
  step: Undoable<Context>,
): step is Extract<Undoable<Context>, { readonly do: RemoteAction<Context> }> {
  return step.do.kind === 'remote'
}

function bareAction<Context>(action: Action<Context>): Action<null> {
  return action.kind === 'remote' ? bareRemote(action) : bareLocal(action)
}

function bareRemote<Context>({ kind, command }: RemoteAction<Context>): RemoteAction<null> {
  return { kind, command, payload: () => null }
}

function bareLocal<Context>({ kind, action }: LocalAction<Context>): LocalAction<null> {
  return { kind, action }
}
