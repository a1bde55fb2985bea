import type { Content, Died, EarlyResolution, Fact, Resolved } from './fact.ts'
import { applyFact, type Letter, newLetter, type RedriveEnd } from './letter.ts'

/** A letter that a batch changes or makes; a new one with its content. */
export interface BatchLetter {
  readonly before: Letter | undefined
  readonly after: Letter
  readonly content?: Content
}

/** What happened to a letter that was known already: for its history. */
export interface LetterEvent {
  readonly fact: Fact
  readonly letter: Letter
}

/** What a batch of facts comes to. */
export interface BatchOutcome {
  readonly letters: readonly BatchLetter[]
  readonly redriveEnds: readonly (RedriveEnd & { readonly letterId: string })[]
  readonly early: readonly Resolved[]
  readonly events: readonly LetterEvent[]
}

interface Loaded {
  readonly letters: readonly Letter[]
  readonly early: readonly EarlyResolution[]
}

/** Applies facts, in their order, to the letters that are loaded. Each letter is written once, however much is said of it. */
export function applyFacts(
  facts: readonly Fact[],
  loaded: Loaded,
  newId: () => string,
): BatchOutcome {
  const batch = new LetterBatch(loaded, newId)
  for (const fact of facts) batch.apply(fact)
  return batch.outcome()
}

class LetterBatch {
  readonly #newId: () => string
  readonly #letters = new Map<string, { before: Letter | undefined; after: Letter }>()
  readonly #contents = new Map<string, Content>()
  readonly #earlyKnown = new Map<string, EarlyResolution>()
  readonly #early = new Map<string, Resolved>()
  readonly #ends: (RedriveEnd & { letterId: string })[] = []
  readonly #events: LetterEvent[] = []

  constructor({ letters, early }: Loaded, newId: () => string) {
    this.#newId = newId
    for (const letter of letters)
      this.#letters.set(nameOf(letter), { before: letter, after: letter })
    for (const resolution of early) this.#earlyKnown.set(nameOf(resolution), resolution)
  }

  apply(fact: Fact): void {
    const name = nameOf(fact)
    const known = this.#letters.get(name)
    if (known) this.#change(known, fact)
    else if (fact.kind === 'died') this.#make(name, fact)
    // Its letter may still come, over the other broker.
    else if (fact.kind === 'resolved') this.#early.set(name, fact)
  }

  outcome(): BatchOutcome {
    const letters = [...this.#letters].flatMap(([name, { before, after }]) => {
      if (before === after) return []
      const content = this.#contents.get(name)
      return [content ? { before, after, content } : { before, after }]
    })
    return {
      letters,
      redriveEnds: this.#ends,
      early: [...this.#early.values()],
      events: this.#events,
    }
  }

  #change(known: { before: Letter | undefined; after: Letter }, fact: Fact): void {
    const applied = applyFact(known.after, fact)
    if (!applied) return
    known.after = applied.letter
    this.#events.push({ fact, letter: applied.letter })
    const { letterId } = applied.letter
    for (const end of applied.redriveEnds) this.#ends.push({ ...end, letterId })
  }

  #make(name: string, fact: Died): void {
    const letter = newLetter(this.#newId(), fact)
    const early = this.#early.get(name) ?? this.#earlyKnown.get(name)
    const isOver = early !== undefined && fact.at <= early.at
    const state = isOver ? ({ status: 'resolved', outcome: early.outcome } as const) : letter.state
    this.#letters.set(name, { before: undefined, after: { ...letter, state } })
    this.#contents.set(name, fact.content)
    this.#early.delete(name)
  }
}

/** A letter's identity as one string: neither part has a blank. */
export function nameOf({ consumer, messageId }: { consumer: string; messageId: string }): string {
  return `${consumer} ${messageId}`
}
