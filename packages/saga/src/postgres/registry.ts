import { AppError } from '@edp/runtime'
import type { z } from 'zod'
import { type Advance, advance, type Turn } from '../advance.ts'
import type { Definition } from '../definition.ts'
import { diagram } from '../diagram.ts'
import { decide } from '../machine.ts'
import { type RemainingStep, remainingSteps } from '../remaining-steps.ts'
import type { Decision, SagaInput, SagaState } from '../state.ts'

/** A version of a definition that this process can run. The type of its context is closed over. */
export interface RegisteredSaga {
  readonly definition: string
  readonly version: number
  readonly diagram: string
  /** `advance`, with a context that was read from JSON. */
  advance(turn: Turn<unknown>): Advance<unknown>
  /** `decide`, with a context that was read from JSON: for deciding a log again. */
  decide(
    state: SagaState<unknown> | undefined,
    input: SagaInput<unknown>,
    now: number,
  ): Decision<unknown>
  /** What it will still do if nothing else comes between. */
  remainingSteps(state: SagaState<unknown>): RemainingStep[]
}

/** Everything that this process can run. A saga stays with the version under which it was started until it ends. */
export interface SagaRegistry {
  /** @throws AppError `saga-version-unknown`, transient: another process, or the next deployment, can run it */
  of(saga: { readonly definition: string; readonly definitionVersion: number }): RegisteredSaga
  find(definition: string, version: number): RegisteredSaga | undefined
  readonly all: readonly RegisteredSaga[]
}

/** Makes a definition runnable from rows: `context` reads what JSON has kept of its context. */
export function registerSaga<Context>(
  definition: Definition<Context>,
  context: z.ZodType<Context>,
): RegisteredSaga {
  const typedState = (state: SagaState<unknown>): SagaState<Context> => ({
    ...state,
    context: context.parse(state.context),
  })
  const typedInput = (input: SagaInput<unknown>): SagaInput<Context> =>
    input.kind === 'start' ? { ...input, context: context.parse(input.context) } : input
  return {
    definition: definition.name,
    version: definition.version,
    diagram: diagram(definition),
    advance: ({ state, input, now, local }) =>
      advance(definition, {
        state: state && typedState(state),
        input: typedInput(input),
        now,
        local,
      }),
    decide: (state, input, now) =>
      decide(definition, state && typedState(state), typedInput(input), now),
    remainingSteps: (state) => remainingSteps(definition, typedState(state)),
  }
}

/**
 * Lists what a process can run.
 * @throws Error when a version is listed twice
 */
export function createSagaRegistry(all: readonly RegisteredSaga[]): SagaRegistry {
  const byName = new Map<string, RegisteredSaga>()
  for (const one of all) {
    const name = nameOf(one.definition, one.version)
    if (byName.has(name)) throw new Error(`${name} is registered twice`)
    byName.set(name, one)
  }
  const find = (definition: string, version: number): RegisteredSaga | undefined =>
    byName.get(nameOf(definition, version))
  return {
    all,
    find,
    of: ({ definition, definitionVersion }) => {
      const found = find(definition, definitionVersion)
      if (found) return found
      // Not permanent: the message must not be lost, and a process that knows the version can handle it.
      throw new AppError(
        'saga-version-unknown',
        `a saga runs under ${nameOf(definition, definitionVersion)}, which is not registered here`,
        { retry: 'transient-everything' },
      )
    },
  }
}

/** `order-fulfilment@1` */
export function nameOf(definition: string, version: number): string {
  return `${definition}@${version}`
}
