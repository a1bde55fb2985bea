/** A step, as far as its effects go. */
export interface StepEffects {
  readonly name: string
  readonly kind: 'compensatable' | 'pivot' | 'retriable'
  /** How often it took place, and how often that was taken back. */
  readonly done: number
  readonly undone: number
}

/** What has become of a saga, seen from outside. */
export interface Effects {
  /** In the order of the definition. */
  readonly steps: readonly StepEffects[]
  /** Whose undo a person has given up. */
  readonly skipped: readonly string[]
  readonly end: 'completed' | 'compensated' | undefined
}

/** What must never be otherwise, in any world. */
export const safety = {
  once: 'no effect happens twice',
  undoOfDone: 'nothing is undone that is not done, or undone already',
  pivot: 'nothing is undone once the pivot is done',
  reverse: 'effects are undone in reverse order',
  completed: 'completed means that every effect is there',
  compensated: 'compensated means that no effect is left',
} as const

/** The first property that does not hold. */
export function brokenProperty({ steps, skipped, end }: Effects): string | undefined {
  for (const { done, undone } of steps) {
    if (done > 1) return safety.once
    if (undone > done) return safety.undoOfDone
  }
  if (isPastPivot(steps) && steps.some(({ undone }) => undone > 0)) return safety.pivot
  if (isOutOfOrder(steps, skipped)) return safety.reverse
  if (end === 'completed' && !steps.every(isThere)) return safety.completed
  if (
    end === 'compensated' &&
    steps.some((step) => isThere(step) && !skipped.includes(step.name))
  ) {
    return safety.compensated
  }
  return undefined
}

function isThere({ done, undone }: StepEffects): boolean {
  return done > undone
}

function isPastPivot(steps: readonly StepEffects[]): boolean {
  return steps.some((step) => step.kind !== 'compensatable' && isThere(step))
}

// A step was undone while a later one is still there. That must not be even when the later one happens only afterwards.
function isOutOfOrder(steps: readonly StepEffects[], skipped: readonly string[]): boolean {
  const firstUndone = steps.findIndex(({ undone }) => undone > 0)
  if (firstUndone < 0) return false
  return steps.slice(firstUndone + 1).some((step) => isThere(step) && !skipped.includes(step.name))
}

/** How it has ended: what was done, and what of that was taken back. */
export function describeEnding({ steps, skipped, end }: Effects): string | undefined {
  if (end === undefined) return undefined
  const effects = steps.map(({ name, done, undone }) => {
    if (done === 0) return `no ${name}`
    return done > undone ? name : `${name} undone`
  })
  const given = skipped.length > 0 ? `, skipped ${skipped.join(' and ')}` : ''
  return `${end}: ${effects.join(', ')}${given}`
}
