import {
  type Action,
  type CompensatablePolicy,
  type Definition,
  defaultPolicy,
  type LocalAction,
  type RemoteAction,
  type ResendPolicy,
  type RetriablePolicy,
  type Step,
  type Undoable,
} from './definition.ts'

// A name that is taken, or that the compiler does not know, becomes a type which no string has; its text is the message.
type Unused<Name extends string, Taken extends string> = string extends Name
  ? { readonly error: 'the name of a step is a literal' }
  : Name extends Taken
    ? { readonly error: `there is a step ${Name} already` }
    : Name

type CompensatableParts<Context> = Undoable<Context> & {
  readonly policy?: Partial<CompensatablePolicy>
}

type PivotParts<Context> = { readonly policy?: Partial<ResendPolicy> } & (
  | { readonly do: LocalAction<Context>; readonly fence?: never }
  | { readonly do: RemoteAction<Context>; readonly fence: RemoteAction<Context> }
)

interface RetriableParts<Context> {
  readonly do: Action<Context>
  readonly policy?: Partial<RetriablePolicy>
}

interface Ready<Context> {
  build(): Definition<Context>
}

interface Finished<Context> extends Ready<Context> {
  /** Given up when the pivot has not been done by then; a saga may be started with another deadline. */
  deadline(after: { readonly minutes: number }): Ready<Context>
}

interface AddRetriable<Context, Taken extends string> {
  retriable<Name extends string>(
    name: Name & Unused<Name, Taken>,
    parts: RetriableParts<Context>,
  ): BehindPivot<Context, Taken | Name>
}

interface BehindPivot<Context, Taken extends string>
  extends Finished<Context>,
    AddRetriable<Context, Taken> {}

interface AddAny<Context, Taken extends string> extends AddRetriable<Context, Taken> {
  compensatable<Name extends string>(
    name: Name & Unused<Name, Taken>,
    parts: CompensatableParts<Context>,
  ): BeforePivot<Context, Taken | Name>
  pivot<Name extends string>(
    name: Name & Unused<Name, Taken>,
    parts: PivotParts<Context>,
  ): BehindPivot<Context, Taken | Name>
}

interface BeforePivot<Context, Taken extends string>
  extends Finished<Context>,
    AddAny<Context, Taken> {}

/**
 * Defines a saga step by step: compensatable ones, then at most one pivot, then retriable ones. Another order, a missing
 * undo, one in another place, a remote pivot without its fence, a name used twice and a saga without steps do not compile.
 */
export function defineSaga<Context>(name: string, version: number): AddAny<Context, never> {
  return stage<Context, never>({ name, version, steps: [], deadlineMs: null })
}

function stage<Context, Taken extends string>(
  definition: Definition<Context>,
): BeforePivot<Context, Taken> {
  const withStep = <Name extends string>(step: Step<Context>) =>
    stage<Context, Taken | Name>({ ...definition, steps: [...definition.steps, step] })
  return {
    compensatable: (name, parts) =>
      withStep({
        ...parts,
        kind: 'compensatable',
        name,
        policy: { ...defaultPolicy, ...parts.policy },
      }),
    pivot: (name, parts) =>
      withStep({ ...parts, kind: 'pivot', name, policy: { ...defaultPolicy, ...parts.policy } }),
    retriable: (name, parts) =>
      withStep({
        ...parts,
        kind: 'retriable',
        name,
        policy: { ...defaultPolicy, ...parts.policy },
      }),
    deadline: ({ minutes }) => stage({ ...definition, deadlineMs: minutes * 60_000 }),
    build: () => definition,
  }
}
