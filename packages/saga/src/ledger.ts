import { unreachable } from './unreachable.ts'

// The rules of the step ledger: pure, so that the participants on Postgres and the explorer run the same ones.

/** A step of a saga in one direction; `reserve` of order 1 and its undo are two. Each has a row of its own. */
export interface StepKey {
  readonly sagaId: string
  readonly step: string
  readonly direction: 'do' | 'undo'
}

export type StepOutcome = 'started' | 'ok' | 'refused' | 'tombstone'

/** A row of the step ledger as a decision sees it. */
export interface LedgerRow extends StepKey {
  /** Nobody has acted on this step yet: the row was inserted by this very transaction to claim it. */
  readonly fresh: boolean
  readonly outcome: StepOutcome
  readonly reply: unknown
}

/** What to do with a command that does a step. */
export type DoVerdict =
  /** It was never done: act, and settle the row with `settle`. */
  | { readonly kind: 'act' }
  /** It was done or refused before: give the same answer. A tombstone is refused without a reply. */
  | { readonly kind: 'answer'; readonly outcome: 'ok' | 'refused'; readonly reply: unknown }
  /** It is under way: whoever finishes it answers. */
  | { readonly kind: 'pending' }

/** What to do with a command that undoes a step. */
export type UndoVerdict =
  /** The step was done (`done`, with its reply) or is under way (`started`): undo it, and record the undo. */
  | { readonly kind: 'act'; readonly on: 'done' | 'started'; readonly reply: unknown }
  /** It never ran and never will: record tombstone and undo, answer ok with nothing undone. */
  | { readonly kind: 'nothing' }
  /** It was undone before: give the same answer. */
  | { readonly kind: 'answer'; readonly reply: unknown }

/** What to do with a command that fences a step. */
export type FenceVerdict =
  /** It never ran: record the tombstone, after which it never will, and answer `fenced`. */
  | { readonly kind: 'fence' }
  /** It was done, refused or fenced before: say so. */
  | {
      readonly kind: 'answer'
      readonly outcome: 'ok' | 'refused' | 'fenced'
      readonly reply: unknown
    }
  /** It is under way: nobody can say yet. The fence comes again. */
  | { readonly kind: 'pending' }

/** The rule for a `do`: the first one acts, every later one repeats its answer. */
export function judgeDo(row: LedgerRow): DoVerdict {
  if (row.fresh) return { kind: 'act' }
  switch (row.outcome) {
    case 'started':
      return { kind: 'pending' }
    case 'tombstone':
      return { kind: 'answer', outcome: 'refused', reply: row.reply }
    case 'ok':
    case 'refused':
      return { kind: 'answer', outcome: row.outcome, reply: row.reply }
    default:
      return unreachable(row.outcome)
  }
}

/**
 * The rule for an `undo`: one that comes before its do leaves a tombstone, on which the do is refused for ever (the
 * "empty compensation" and "hanging" of DTM's barrier); one that comes again repeats its answer.
 */
export function judgeUndo(doRow: LedgerRow, undoRow: LedgerRow | undefined): UndoVerdict {
  if (undoRow) return { kind: 'answer', reply: undoRow.reply }
  if (doRow.fresh) return { kind: 'nothing' }
  switch (doRow.outcome) {
    case 'tombstone':
    case 'refused':
      return { kind: 'nothing' }
    case 'ok':
      return { kind: 'act', on: 'done', reply: doRow.reply }
    case 'started':
      return { kind: 'act', on: 'started', reply: doRow.reply }
    default:
      return unreachable(doRow.outcome)
  }
}

/**
 * The rule for a `fence`, which decides whether a do that nobody answers has happened: it never will, unless it has. Nothing is
 * undone by it.
 */
export function judgeFence(doRow: LedgerRow): FenceVerdict {
  if (doRow.fresh) return { kind: 'fence' }
  switch (doRow.outcome) {
    case 'started':
      return { kind: 'pending' }
    case 'tombstone':
      return { kind: 'answer', outcome: 'fenced', reply: doRow.reply }
    case 'ok':
    case 'refused':
      return { kind: 'answer', outcome: doRow.outcome, reply: doRow.reply }
    default:
      return unreachable(doRow.outcome)
  }
}

/** The row with its outcome: what a decision returns as changed. */
export function settle(key: StepKey, outcome: StepOutcome, reply: unknown = null): LedgerRow {
  return {
    sagaId: key.sagaId,
    step: key.step,
    direction: key.direction,
    fresh: false,
    outcome,
    reply,
  }
}
