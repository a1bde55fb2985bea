/** What a command is about: a step, undoing it, or making sure that it never happens. */
export type Direction = 'do' | 'undo' | 'fence'

/** A command through the outbox, answered by a reply, both some time. */
export interface RemoteAction<Context> {
  readonly kind: 'remote'
  /** The type of the command, such as `stock.reserve.v1`. */
  readonly command: string
  /** The body of the command. Every attempt makes it anew from the context. */
  readonly payload: (context: Context) => unknown
  /** What the result of the reply makes of the context. It throws on a result that it cannot read. */
  readonly fold?: (context: Context, result: unknown) => Context
}

/** A function of the orchestrator's own transaction, which knows it by its name and answers within that transaction. */
export interface LocalAction<Context> {
  readonly kind: 'local'
  readonly action: string
  readonly fold?: (context: Context, result: unknown) => Context
}

export type Action<Context> = RemoteAction<Context> | LocalAction<Context>

/** When a command that is not answered is sent again: doubled each time, up to a bound. */
export interface ResendPolicy {
  readonly resendAfterMs: number
  readonly resendAfterMaxMs: number
}

/** An undo that is silent for longer is shown to a person. */
export interface CompensatablePolicy extends ResendPolicy {
  readonly undoSilenceMs: number
}

/** A step behind the pivot that is silent for longer is shown to a person. */
export interface RetriablePolicy extends ResendPolicy {
  readonly doSilenceMs: number
}

/**
 * An action and what takes it back. Both happen in the same place, since whoever undoes has to know whether it was done: one
 * ledger, or one transaction (a step done here and undone elsewhere is a violation that the explorer finds).
 */
export type Undoable<Context> =
  | { readonly do: RemoteAction<Context>; readonly undo: RemoteAction<Context> }
  | { readonly do: LocalAction<Context>; readonly undo: LocalAction<Context> }

/** Can be done and undone. */
export type CompensatableStep<Context> = {
  readonly kind: 'compensatable'
  readonly name: string
  readonly policy: CompensatablePolicy
} & Undoable<Context>

/** Decides: once it is done nothing is undone any more. A remote one can be fenced: told never to happen if it has not yet. */
export type PivotStep<Context> = {
  readonly kind: 'pivot'
  readonly name: string
  readonly policy: ResendPolicy
} & (
  | { readonly do: LocalAction<Context>; readonly fence?: never }
  | { readonly do: RemoteAction<Context>; readonly fence: RemoteAction<Context> }
)

/** Cannot be refused, and is sent until it is done. */
export interface RetriableStep<Context> {
  readonly kind: 'retriable'
  readonly name: string
  readonly do: Action<Context>
  readonly policy: RetriablePolicy
}

export type Step<Context> = CompensatableStep<Context> | PivotStep<Context> | RetriableStep<Context>

/**
 * A saga as data: compensatable steps, then at most one pivot, then retriable ones. `defineSaga` makes one whose order the
 * compiler has checked.
 */
export interface Definition<Context> {
  readonly name: string
  readonly version: number
  readonly steps: readonly Step<Context>[]
  /** From the start to when it is given up, if the pivot has not been done by then. Null: never. */
  readonly deadlineMs: number | null
}

/** The policy of a step that names none. */
export const defaultPolicy: CompensatablePolicy & RetriablePolicy = {
  resendAfterMs: 5_000,
  resendAfterMaxMs: 60_000,
  undoSilenceMs: 10 * 60_000,
  doSilenceMs: 10 * 60_000,
}
