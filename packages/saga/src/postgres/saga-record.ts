import type { Direction } from '../definition.ts'
import type { Effect, Note, SagaInput, SagaState } from '../state.ts'

/** A saga as its row says, in memory. */
export interface SagaRecord {
  readonly id: string
  readonly definition: string
  readonly definitionVersion: number
  readonly businessKey: string
  readonly state: SagaState<unknown>
  /** The last row of its log. */
  readonly seq: number
  readonly startedAt: Date
  /** When the present step and direction began. */
  readonly stepAt: Date
  readonly changedAt: Date
  /**
   * The time of the transaction that read it, by the database's clock: the `now` of everything that is decided in it. Timers
   * compare with the same clock, whatever those of the processes say.
   */
  readonly now: Date
}

/** An effect in the log: the payload of a command follows from the context, and is not written twice. */
export type LoggedEffect =
  | Exclude<Effect, { readonly kind: 'command' }>
  | Omit<Extract<Effect, { readonly kind: 'command' }>, 'payload'>

/** A decision, as the log keeps it. */
export interface SagaLogEntry {
  readonly sagaId: string
  readonly seq: number
  readonly version: number
  readonly at: Date
  readonly input: SagaInput<unknown>
  readonly note: Note
  readonly effects: readonly LoggedEffect[]
  readonly actor: string
  readonly traceparent: string | null
}

/** A decision that has just been made: the entry, with what only metrics need. */
export interface NewLogEntry extends SagaLogEntry {
  readonly definition: string
  /** The step that it was about, if there was one. */
  readonly step: string | null
  /** The step and direction that it ended, and how long that had taken. */
  readonly left: {
    readonly step: string
    readonly direction: Direction
    readonly seconds: number
  } | null
}

/** What a person did to a saga. */
export interface SagaIntervention {
  readonly sagaId: string
  readonly seq: number
  readonly verb: 'retry' | 'skip' | 'cancel'
  readonly actor: string
  readonly reason: string
  readonly at: Date
}
