import type { Direction } from './definition.ts'

/** Why a saga is not to be completed. */
export type Cause =
  | { readonly kind: 'refused'; readonly step: string; readonly reason: string | null }
  | { readonly kind: 'deadline'; readonly step: string }
  | { readonly kind: 'cancel'; readonly step: string; readonly reason: string | null }

/** Why a person has to look. */
export type Trouble = 'refused' | 'failed' | 'silent'

interface Facts<Context> {
  readonly context: Context
  /** Rises by one with every change, and with nothing else. */
  readonly version: number
  readonly deadlineAt: number | null
  /** Steps whose undo was given up by a person: what they did may still be there. */
  readonly skipped: readonly string[]
}

interface Waiting {
  readonly step: string
  readonly attempt: number
  /** When the `due` input is wanted: to send again, or because of the deadline. */
  readonly dueAt: number
  /**
   * How long the present command has not been answered although it could have been: the sum of the waits that ended in a
   * `due` while the transport was not paused. It is no difference of two times, so that time in which the orchestrator
   * itself was down, and could not have heard an answer, does not count.
   */
  readonly silentMs: number
}

/** A step is being done. */
export interface Running<Context> extends Facts<Context>, Waiting {
  readonly status: 'running'
  readonly direction: 'do'
  readonly cause: null
}

/** A step is being undone; then the one before it. */
export interface Compensating<Context> extends Facts<Context>, Waiting {
  readonly status: 'compensating'
  readonly direction: 'undo'
  readonly cause: Cause
}

/** The remote pivot is being asked whether it was done, and told never to do it else. */
export interface Fencing<Context> extends Facts<Context>, Waiting {
  readonly status: 'fencing'
  readonly direction: 'fence'
  readonly cause: Cause
}

/** A person has to look; the command is still sent now and then, and its answer still heals the saga. */
export interface NeedsHuman<Context> extends Facts<Context>, Waiting {
  readonly status: 'needs_human'
  readonly direction: 'do' | 'undo'
  readonly trouble: Trouble
  /** Null for a step behind the pivot. */
  readonly cause: Cause | null
}

/** All steps are done. */
export interface Completed<Context> extends Facts<Context> {
  readonly status: 'completed'
  readonly cause: null
}

/** All that was done has been undone, except for what was skipped. */
export interface Compensated<Context> extends Facts<Context> {
  readonly status: 'compensated'
  readonly cause: Cause
}

/** A saga under way. */
export type ActiveState<Context> =
  | Running<Context>
  | Compensating<Context>
  | Fencing<Context>
  | NeedsHuman<Context>

/**
 * A saga, as plain data that JSON keeps as it is. All times are milliseconds since 1970 by the clock that the inputs'
 * `now` comes from.
 */
export type SagaState<Context> = ActiveState<Context> | Completed<Context> | Compensated<Context>
export type SagaStatus = SagaState<unknown>['status']

/** What a participant, or a local action, answers. `fenced`: it was not done and never will be. */
export type ReplyOutcome = 'ok' | 'refused' | 'failed' | 'fenced'

/** The answer to a command of whichever attempt. */
export interface Reply {
  readonly kind: 'reply'
  readonly step: string
  readonly direction: Direction
  readonly outcome: ReplyOutcome
  /** Folded into the context when the outcome is `ok`. */
  readonly result?: unknown
  /** Why it was refused, or failed. */
  readonly reason?: string
}

/** What happens to a saga; plain data, so that the log of a saga can be decided again. */
export type SagaInput<Context> =
  /** `deadlineAt` overrules the definition's deadline. */
  | { readonly kind: 'start'; readonly context: Context; readonly deadlineAt?: number }
  | Reply
  /** `dueAt` has passed. `version` is the one that the timer saw; `transport` says whether commands could leave. */
  | { readonly kind: 'due'; readonly version: number; readonly transport: 'running' | 'paused' }
  | { readonly kind: 'cancel'; readonly reason?: string }
  | { readonly kind: 'operator'; readonly verb: 'retry' | 'skip' }

/** To be sent through the outbox, under a new message id each time. Its key is `sagaId/step/direction`. */
export interface CommandEffect {
  readonly kind: 'command'
  readonly step: string
  readonly direction: Direction
  readonly attempt: number
  readonly command: string
  readonly payload: unknown
}

/** To be run in this very transaction; its outcome is the next input, as a reply (`advance` does that). */
export interface LocalEffect {
  readonly kind: 'local'
  readonly step: string
  readonly direction: 'do' | 'undo'
  readonly attempt: number
  readonly action: string
}

/** What a decision wants done in the transaction that saves its state. */
export type Effect =
  | CommandEffect
  | LocalEffect
  /** The saga will not be completed. Comes once, before the first undo. */
  | { readonly kind: 'turned'; readonly cause: Cause }
  | {
      readonly kind: 'needs-human'
      readonly step: string
      readonly direction: 'do' | 'undo'
      readonly trouble: Trouble
    }
  | { readonly kind: 'ended'; readonly status: 'completed'; readonly cause: null }
  | { readonly kind: 'ended'; readonly status: 'compensated'; readonly cause: Cause }

/** What a decision did, or why it did nothing. */
export type Note =
  | 'started'
  | 'done'
  | 'completed'
  | 'refused'
  | 'deadline'
  | 'cancelled'
  | 'fencing'
  | 'undone'
  | 'compensated'
  | 'resent'
  | 'postponed'
  | 'needs-human'
  | 'skipped'
  | IgnoredNote

/** Nothing has changed. */
export type IgnoredNote =
  /** There is no such saga. */
  | 'unknown-saga'
  | 'already-started'
  /** An answer that was had already. */
  | 'duplicate'
  /** An answer to what is not asked any more. */
  | 'late'
  /** An answer to what was never asked. */
  | 'unexpected'
  /** A failure where only time decides; the command is sent again. */
  | 'failed'
  | 'stale-timer'
  | 'already-cancelling'
  | 'too-late-to-cancel'
  | 'not-skippable'
  | 'ended'

/**
 * An input, decided. An `IgnoredNote` goes with the very state that came in; every other note with a new one, whose version
 * is one higher.
 */
export interface Decision<Context> {
  /** Undefined only for an input to a saga that is not there. */
  readonly state: SagaState<Context> | undefined
  readonly effects: readonly Effect[]
  readonly note: Note
}
