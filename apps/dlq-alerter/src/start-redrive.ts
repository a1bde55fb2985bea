import { newId } from '@edp/event-schemas'
import { type Database, unreachable } from '@edp/runtime'
import { record } from './db/audit.ts'
import {
  insertRedrive,
  lockRedrive,
  refusedLetters,
  saveRedrive,
  type Selection,
  selectLettersFor,
} from './db/redrives.ts'
import { operated, type Redrive } from './domain/redrive.ts'

/** More letters are more than one redrive: selected in one transaction. */
export const redriveLettersMax = 100_000

/** A redrive that a person asks for. */
export interface RedriveRequest {
  readonly selection: Selection
  readonly canary: number
  readonly ratePerSecond: number
  readonly by: string
  readonly why: string
}

/** What came of asking for a redrive. */
export type Started =
  | { readonly kind: 'started'; readonly redriveId: string }
  | { readonly kind: 'nothing-open' }
  | { readonly kind: 'too-many' }
  /** Letters that nobody takes back, by consumer. */
  | { readonly kind: 'not-taken-back'; readonly consumers: readonly string[] }

class Refused extends Error {
  readonly refusal: Exclude<Started, { kind: 'started' }>

  constructor(refusal: Exclude<Started, { kind: 'started' }>) {
    super(refusal.kind)
    this.refusal = refusal
  }
}

/**
 * Begins a redrive of the open letters of a selection: they are its letters from now on, and are sent by the loop. Letters that nobody
 * takes back are left out, unless they were named one by one or nothing else is there.
 */
export async function startRedrive(
  database: Pick<Database, 'transaction'>,
  request: RedriveRequest,
): Promise<Started> {
  const { canary, ratePerSecond, selection, by, why } = request
  const redrive = {
    redriveId: newId(),
    selection,
    by,
    why,
    canary,
    ratePerSecond,
    state: 'running' as const,
    canaryState: canary > 0 ? ('pending' as const) : ('none' as const),
  }
  const { redriveId } = redrive
  try {
    return await database.transaction(async (tx) => {
      insertRedrive(tx, redrive)
      const [selected, refused] = await Promise.all([
        selectLettersFor(tx, redrive, redriveLettersMax + 1),
        refusedLetters(tx, redrive),
      ])
      if (refused.length > 0 && (selected === 0 || selection.letters)) {
        const consumers = refused.map(({ consumer }) => consumer)
        throw new Refused({ kind: 'not-taken-back', consumers })
      }
      if (selected === 0) throw new Refused({ kind: 'nothing-open' })
      if (selected > redriveLettersMax) throw new Refused({ kind: 'too-many' })
      const after = { selection, selected, canary, ratePerSecond }
      record(tx, [{ by, why, action: 'redrive.started', redriveId, after }])
      return { kind: 'started', redriveId }
    })
  } catch (error) {
    // The transaction must not stay: it has selected letters.
    if (error instanceof Refused) return error.refusal
    throw error
  }
}

/** What came of operating a redrive. */
export type Operated =
  | { readonly kind: 'done' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not-now'; readonly state: Redrive['state'] }

/** Cancels a redrive, or lets a paused one go on in spite of its canary. What was sent is on its way. */
export async function operateRedrive(
  database: Pick<Database, 'transaction'>,
  { redriveId, verb, by }: { redriveId: string; verb: 'cancel' | 'resume'; by: string },
): Promise<Operated> {
  return await database.transaction(async (tx) => {
    const redrive = await lockRedrive(tx, redriveId)
    if (!redrive) return { kind: 'unknown' }
    const after = operated(redrive, verb)
    if (!after) return { kind: 'not-now', state: redrive.state }
    saveRedrive(tx, after, 0)
    const stateOf = ({ state, canaryState }: Redrive) => ({ state, canaryState })
    record(tx, [
      { by, action: actionOf(verb), redriveId, before: stateOf(redrive), after: stateOf(after) },
    ])
    return { kind: 'done' }
  })
}

function actionOf(verb: 'cancel' | 'resume'): string {
  switch (verb) {
    case 'cancel':
      return 'redrive.cancelled'
    case 'resume':
      return 'redrive.resumed'
    default:
      return unreachable(verb)
  }
}
