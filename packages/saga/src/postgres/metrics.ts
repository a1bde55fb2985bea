import { counter, histogram } from '@edp/runtime'
import type { IgnoredNote, Note } from '../state.ts'
import type { NewLogEntry } from './saga-record.ts'

const started = counter('edp_saga_started_total', 'Sagas started', ['definition'])
const finished = counter('edp_saga_finished_total', 'Sagas ended, by how', ['definition', 'status'])
const stepSeconds = histogram(
  'edp_saga_step_seconds',
  'From the first command of a step to its answer',
  ['definition', 'step', 'direction'],
)
const timeouts = counter(
  'edp_saga_timeouts_total',
  'Timers that found no answer, by what was done',
  ['definition', 'step', 'note'],
)
const ignored = counter('edp_saga_ignored_inputs_total', 'Inputs that changed nothing, by why', [
  'note',
])
const needsHuman = counter('edp_saga_needs_human_total', 'Times that a person had to look', [
  'definition',
  'step',
  'direction',
])

/** True for the notes of the inputs that changed nothing; the compiler knows that none is missing. */
const isIgnored = {
  started: false,
  done: false,
  completed: false,
  refused: false,
  deadline: false,
  cancelled: false,
  fencing: false,
  undone: false,
  compensated: false,
  resent: false,
  postponed: false,
  'needs-human': false,
  skipped: false,
  'unknown-saga': true,
  'already-started': true,
  duplicate: true,
  late: true,
  unexpected: true,
  failed: true,
  'stale-timer': true,
  'already-cancelling': true,
  'too-late-to-cancel': true,
  'not-skippable': true,
  ended: true,
} as const satisfies Record<Note, boolean>

/** Whether a decision with this note changed nothing. */
export function isIgnoredNote(note: Note): note is IgnoredNote {
  return isIgnored[note]
}

/** Counts decisions whose transaction is committed. */
export function countSagaLog(entries: readonly NewLogEntry[]): void {
  for (const entry of entries) countEntry(entry)
}

/** Counts an answer to a saga that is not there. */
export function countUnknownSaga(): void {
  ignored.inc({ note: 'unknown-saga' })
}

function countEntry({ definition, input, note, effects, step, left }: NewLogEntry): void {
  if (isIgnoredNote(note)) ignored.inc({ note })
  if (note === 'started') started.inc({ definition })
  if (input.kind === 'due' && !isIgnoredNote(note)) {
    timeouts.inc({ definition, step: step ?? '', note })
  }
  if (left) {
    stepSeconds.observe({ definition, step: left.step, direction: left.direction }, left.seconds)
  }
  for (const effect of effects) {
    if (effect.kind === 'ended') finished.inc({ definition, status: effect.status })
    if (effect.kind === 'needs-human') {
      needsHuman.inc({ definition, step: effect.step, direction: effect.direction })
    }
  }
}
