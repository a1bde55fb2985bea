import type { Backoff } from '@edp/runtime'
import { type HaltedKey, Halts } from './halts.ts'
import { InFlight } from './in-flight.ts'
import type { Fetched, FetchRequest } from './outbox-table.ts'
import { type Pause, Pauses } from './pauses.ts'
import { ReadPosition } from './position.ts'
import { type FetchedRow, type Judgement, takeWindow, type WindowBounds } from './window.ts'

/** A fetch that is under way. */
export interface FetchTicket {
  readonly number: number
  readonly generation: number
  readonly request: FetchRequest
}

/** What a fetch brought that was new. */
export interface FetchSummary {
  readonly rows: number
  /** Of these, rows that committed after one with a higher id had been seen. */
  readonly late: number
  /** Whether there is probably more. */
  readonly full: boolean
}

/** Where a delete stood when it was sent. */
export interface DeleteTicket {
  readonly ids: readonly number[]
  readonly upTo: number
}

/**
 * All that a drain knows while it has the lease, without any I/O: what was read, what waits to be published, what is in
 * flight, which destinations are paused, and which keys stand still. The session feeds it with answers in the order in which they come.
 */
export class DrainState {
  readonly position: ReadPosition
  readonly inFlight = new InFlight()
  readonly pauses: Pauses
  readonly #halts = new Halts()
  #buffer: FetchedRow[] = []
  #held: FetchedRow[] = []
  #generation = 0

  constructor(options: { gapsMax: number; pauseBackoff: Backoff }) {
    this.position = new ReadPosition(options)
    this.pauses = new Pauses(options.pauseBackoff)
  }

  /** Rows that wait to be published. */
  get buffered(): number {
    return this.#buffer.length
  }

  /** Whether any key stands still. */
  get someHalted(): boolean {
    return this.#halts.size > 0
  }

  /** Rows of keys that stand still, which are to be moved behind the dead ones of their keys. */
  get held(): readonly FetchedRow[] {
    return this.#held
  }

  /** Changes whenever rows are to be read again: what was asked for before is of no use then. */
  get generation(): number {
    return this.#generation
  }

  /** To be called when a fetch is sent: gives what it has to ask for. */
  fetchSent(rowsMax: number): FetchTicket {
    const { cursor, gaps } = this.position
    const paused = this.pauses.destinations
    // Gaps may cover ids that are in flight (`gapsMax`), and these must not be all that is read.
    const gapRowsMax = rowsMax + this.inFlight.size
    return {
      number: this.inFlight.fetchSent(),
      generation: this.#generation,
      request: { cursor, rowsMax, gaps, gapRowsMax, paused },
    }
  }

  fetchReturned(ticket: FetchTicket, fetched: Fetched): FetchSummary {
    const isCurrent = ticket.generation === this.#generation
    const summary = isCurrent ? this.#takeOver(ticket.request, fetched) : nothing
    this.inFlight.fetchReturned(ticket.number)
    return summary
  }

  /** The rows to publish next, in order. */
  take(bounds: WindowBounds): FetchedRow[] {
    const { window, rest } = takeWindow(this.#buffer, bounds)
    this.#buffer = rest
    return window
  }

  /**
   * Takes over what became of a window, but for its dead rows. When a destination failed, everything that was fetched after it is
   * thrown away, to be fetched again, and the destination is paused. Rows that were only held back by a dead one come next. What
   * was delivered stays in flight until its delete.
   */
  judged({ undelivered, failures }: Omit<Judgement, 'dead'>, nowMs: number): Pause[] {
    if (failures.size === 0) {
      this.#buffer = this.#withoutHeld([...undelivered, ...this.#buffer])
      return []
    }
    this.throwAway(undelivered)
    // Below that only rows in open gaps may turn up; those of a paused destination are not read from them.
    const resumeFrom = this.position.floor + 1
    return [...failures].map(([destination, error]) =>
      this.pauses.pause({ destination, resumeFrom, error, nowMs }),
    )
  }

  /** These rows, and all that wait to be published, are fetched again. */
  throwAway(rows: readonly FetchedRow[]): void {
    const ids = [...rows, ...this.#buffer].map((row) => row.id)
    this.#buffer = []
    this.inFlight.giveBack(ids)
    this.rewind(Math.min(...ids))
  }

  /** A row is dead, and its key stands still: what comes after it is held. */
  halt({ destination, key, id }: FetchedRow): void {
    this.#halts.add({ destination, key, from: id })
    this.#buffer = this.#withoutHeld(this.#buffer)
  }

  /** The held rows, for their move. They stay in flight until it is known to have been done. */
  takeHeld(): readonly FetchedRow[] {
    const held = this.#held
    this.#held = []
    return held
  }

  /** Splits rows that are not in flight: those that may be published, and others, which are held from now on. */
  hold(rows: readonly FetchedRow[]): FetchedRow[] {
    const before = this.#held.length
    const free = this.#withoutHeld(rows)
    for (const row of this.#held.slice(before)) this.inFlight.add(row.id)
    return free
  }

  /**
   * The keys that stand still were loaded anew, since rows may have been put back: anywhere below what was read, also with ids
   * that were in flight until they were moved. No move may be under way.
   */
  reload(halted: readonly HaltedKey[]): void {
    this.#halts.replace(halted)
    this.inFlight.giveBack(this.#held.map((row) => row.id))
    this.#held = []
    this.inFlight.forgetDeleted()
    this.pauses.forgetWhereToResume()
    this.rewind(1)
  }

  /** A paused destination takes messages again: its rows are read anew. */
  resume(pause: Pause): void {
    this.pauses.resume(pause.destination)
    this.rewind(pause.resumeFrom)
  }

  /** Reads again from this id on; a fetch that is under way does not count. What is buffered stays. */
  rewind(fromId: number): void {
    this.position.rewind(fromId - 1)
    this.#generation += 1
  }

  deleteSent(ids: readonly number[]): DeleteTicket {
    return { ids, upTo: this.position.cursor }
  }

  /** @param xid of the transaction that deleted, which began after the ticket was made */
  deleteCommitted(ticket: DeleteTicket, xid: number): void {
    this.inFlight.deleteCommitted(ticket.ids)
    this.position.mark(ticket.upTo, xid)
  }

  #takeOver(request: FetchRequest, { rows, xmin }: Fetched): FetchSummary {
    const { cursor } = this.position
    const fresh = rows.findIndex((row) => row.id > cursor)
    const late = fresh === -1 ? rows : rows.slice(0, fresh)
    const above = fresh === -1 ? [] : fresh === 0 ? rows : rows.slice(fresh)
    this.position.takeLate(late.map((row) => row.id))
    const lateKept = this.#keep(late)
    // More may lie in the gaps, and what is above may belong behind it.
    if (request.gaps.length > 0 && late.length >= request.gapRowsMax) {
      return { rows: lateKept, late: lateKept, full: true }
    }
    this.position.advance(above.map((row) => row.id))
    this.position.settle(xmin)
    const kept = this.#keep(above)
    return { rows: lateKept + kept, late: lateKept, full: above.length >= request.rowsMax }
  }

  #keep(rows: readonly FetchedRow[]): number {
    const before = this.#buffer.length + this.#held.length
    const somePaused = this.pauses.size > 0
    const someHalted = this.#halts.size > 0
    for (const row of rows) {
      if (this.inFlight.has(row.id)) continue
      if (somePaused && this.pauses.has(row.destination)) continue
      this.inFlight.add(row.id)
      if (someHalted && this.#halts.holds(row)) this.#held.push(row)
      else this.#buffer.push(row)
    }
    return this.#buffer.length + this.#held.length - before
  }

  #withoutHeld(rows: readonly FetchedRow[]): FetchedRow[] {
    return rows.filter((row) => {
      const isHeld = this.#halts.holds(row)
      if (isHeld) this.#held.push(row)
      return !isHeld
    })
  }
}

const nothing: FetchSummary = { rows: 0, late: 0, full: false }
