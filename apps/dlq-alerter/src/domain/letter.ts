import { unreachable } from '@edp/runtime'
import { takesLettersBack } from './consumer-names.ts'
import type { Died, Fact, Failure, LetterOutcome, Resolved, Subject } from './fact.ts'

/**
 * How a letter stands. `redriving`: it was sent back and nothing was said of it since. `archived`: given up by a person; its
 * outcome is `discarded` when its consumer has given it up too.
 */
export type LetterState =
  | { readonly status: 'open' }
  | { readonly status: 'redriving'; readonly redriveId: string }
  | { readonly status: 'resolved'; readonly outcome: LetterOutcome }
  | { readonly status: 'archived'; readonly outcome: LetterOutcome | null }

export type LetterStatus = LetterState['status']

/** A message that a consumer could not handle, without its content, which never changes. */
export interface Letter {
  readonly letterId: string
  readonly consumer: string
  readonly messageId: string
  readonly subject: Subject
  readonly failure: Failure
  readonly state: LetterState
  readonly waitingBehind: number
  /** When the newest fact was said that was applied. */
  readonly factAt: Date
}

/** What came of a redrive of the letter. */
export interface RedriveEnd {
  readonly redriveId: string
  readonly result: 'resolved' | 'failed'
}

/** What a fact does to a letter, and to the redrives that it was sent back by. */
export interface Applied {
  readonly letter: Letter
  readonly redriveEnds: readonly RedriveEnd[]
}

/** How far the clocks of two processes may differ: a fact that is older by more was said before what is known. */
export const clockSkewMs = 60_000

/** The letter that a first failure makes. */
export function newLetter(letterId: string, fact: Died): Letter {
  const { consumer, messageId, subject, failure, at } = fact
  return {
    letterId,
    consumer,
    messageId,
    subject,
    failure,
    state: { status: 'open' },
    waitingBehind: 0,
    factAt: at,
  }
}

/**
 * Applies a fact to its letter. Facts of a letter come in their order and once; an old one that comes again all the same (the topic
 * read from its beginning after the inbox has forgotten it) is recognised by its time. Undefined: nothing changes.
 */
export function applyFact(letter: Letter, fact: Fact): Applied | undefined {
  const toleranceMs = fact.id === null ? -1 : clockSkewMs
  if (fact.at.getTime() < letter.factAt.getTime() - toleranceMs) return undefined
  const known = { ...letter, factAt: later(letter.factAt, fact.at) }
  switch (fact.kind) {
    case 'died':
      return diedAgain(known, fact)
    case 'resolved':
      return resolve(known, fact)
    case 'waiting':
      return { letter: { ...known, waitingBehind: fact.waiting }, redriveEnds: [] }
    default:
      return unreachable(fact)
  }
}

function diedAgain(letter: Letter, fact: Died): Applied | undefined {
  const { state } = letter
  // Another copy of a message that is on its way back: the broker had two, and says nothing of the redrive.
  if (state.status === 'redriving' && fact.subject.source === 'dlq') return undefined
  const failed = { ...letter, failure: failureOf(letter, fact) }
  const redriveEnds = endsOf(letter, fact, 'failed')
  // A person has given it up, and its consumer will hear of it: it failed on the way there.
  const isGivenUp = state.status === 'archived' && state.outcome === null
  if (isGivenUp && takesLettersBack(letter.consumer)) return { letter: failed, redriveEnds }
  return { letter: { ...failed, state: { status: 'open' } }, redriveEnds }
}

/** The first failure stays the first one. */
function failureOf(letter: Letter, { failure }: Died): Failure {
  const firstFailedAt =
    letter.failure.firstFailedAt < failure.firstFailedAt
      ? letter.failure.firstFailedAt
      : failure.firstFailedAt
  return { ...failure, firstFailedAt }
}

function resolve(letter: Letter, fact: Resolved): Applied {
  const { outcome } = fact
  const isArchived = letter.state.status === 'archived' && outcome === 'discarded'
  const state: LetterState = isArchived
    ? { status: 'archived', outcome }
    : { status: 'resolved', outcome }
  return {
    letter: { ...letter, state, waitingBehind: 0 },
    redriveEnds: endsOf(letter, fact, 'resolved'),
  }
}

/** The redrives that end: the one that the fact names, and the one that was under way. */
function endsOf(
  { state }: Letter,
  { redriveId }: { redriveId: string | null },
  result: RedriveEnd['result'],
): RedriveEnd[] {
  const ids = new Set(redriveId === null ? [] : [redriveId])
  if (state.status === 'redriving') ids.add(state.redriveId)
  return [...ids].map((id) => ({ redriveId: id, result }))
}

function later(a: Date, b: Date): Date {
  return a < b ? b : a
}
