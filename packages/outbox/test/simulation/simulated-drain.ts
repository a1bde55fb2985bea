import { AppError } from '@edp/runtime'
import { DrainState, type DeleteTicket, type FetchTicket } from '../../src/drain/drain-state.ts'
import type { HaltedKey } from '../../src/drain/halts.ts'
import type { Fetched } from '../../src/drain/outbox-table.ts'
import { type FetchedRow, judge, type Judgement } from '../../src/drain/window.ts'
import { halts, type SimulatedOutbox } from './simulated-outbox.ts'

const bounds = { rowsMax: 5, bytesMax: 1_000_000, oneRowOfAKey: false }
const outage = new AppError('down', 'down', { retry: 'transient-everything' })
const heldBack = new AppError('held-back', 'held back', { retry: 'transient-message' })
const tooLarge = new AppError('too-large', 'too large', { retry: 'permanent' })

/** Rows on their way to the dead ones, and what is done when they are there. */
interface Move {
  readonly ticket: DeleteTicket
  readonly rows: readonly FetchedRow[]
  readonly status: 'dead' | 'waiting'
  /** What else was in the window. */
  readonly rest?: Judgement
  answer?: { xid: number | undefined }
}

/**
 * The relay's side, one step at a time, each question to Postgres in three: asked, executed, answered. As in the session, whoever
 * publishes does one thing at a time: a send, a move, or learning what stands still.
 */
export class SimulatedDrain {
  readonly state = new DrainState({ gapsMax: 2, pauseBackoff: { baseMs: 1, capMs: 1 } })
  readonly log: FetchedRow[] = []
  readonly #outbox: SimulatedOutbox
  #fetch: { ticket: FetchTicket; answer?: Fetched } | undefined
  #deletes: { ticket: DeleteTicket; xid?: number }[] = []
  #window: FetchedRow[] | undefined
  #move: Move | undefined
  #load: { epoch: number; answer?: HaltedKey[] } | undefined
  #leaseEpoch = 1
  #loadedEpoch = 1
  failedSends = 0

  constructor(outbox: SimulatedOutbox) {
    this.#outbox = outbox
  }

  /** Whether the next thing may be done. What stands still is learned first. */
  #isReady(): boolean {
    if (this.#window ?? this.#move ?? this.#load) return false
    if (this.#leaseEpoch === this.#loadedEpoch) return true
    this.#load = { epoch: this.#leaseEpoch }
    return false
  }

  sendFetch(): void {
    this.#fetch ??= { ticket: this.state.fetchSent(5) }
  }

  executeFetch(): void {
    if (this.#fetch) this.#fetch.answer ??= this.#outbox.fetch(this.#fetch.ticket)
  }

  returnFetch(): void {
    if (!this.#fetch?.answer) return
    this.state.fetchReturned(this.#fetch.ticket, this.#fetch.answer)
    this.#fetch = undefined
  }

  renewLease(): void {
    this.#leaseEpoch = this.#outbox.epoch
  }

  startSend(): void {
    if (this.#isReady() && this.state.buffered > 0) this.#window = this.state.take(bounds)
  }

  /** @param arrived whether the broker has what failed all the same */
  endSend(fails: (row: FetchedRow, index: number) => boolean, arrived: boolean): void {
    const window = this.#window
    if (!window) return
    this.#window = undefined
    const behindPoison = new Set<string>()
    const outcome = window.map((row, index) => {
      const key = `${row.destination} ${row.key}`
      if (behindPoison.has(key)) return heldBack
      const isPoison = this.#outbox.poison.has(row.id)
      if (isPoison) behindPoison.add(key)
      else if (arrived || !fails(row, index)) this.log.push(row)
      if (fails(row, index)) return outage
      return isPoison ? tooLarge : undefined
    })
    const judgement = judge(window, outcome)
    this.#delete(judgement.delivered)
    if (judgement.undelivered.length > 0) this.failedSends += 1
    if (judgement.dead.length > 0) this.#bury(judgement)
    else this.#judged(judgement)
  }

  startHold(): void {
    if (!this.#isReady() || this.state.held.length === 0) return
    const rows = this.state.takeHeld()
    this.#move = { ticket: this.state.deleteSent(idsOf(rows)), rows, status: 'waiting' }
  }

  executeMove(): void {
    const move = this.#move
    if (!move) return
    move.answer ??= { xid: this.#outbox.move(this.#loadedEpoch, move.rows, move.status) }
  }

  returnMove(): void {
    const move = this.#move
    if (!move?.answer) return
    this.#move = undefined
    const { ticket, rows, status, rest, answer } = move
    if (answer.xid === undefined) {
      this.state.throwAway([...rows, ...(rest?.undelivered ?? [])])
      this.renewLease()
      return
    }
    this.state.deleteCommitted(ticket, answer.xid)
    if (status === 'dead') for (const row of rows) if (halts(row)) this.state.halt(row)
    if (rest) this.#judged(rest)
  }

  executeLoad(): void {
    if (this.#load) this.#load.answer ??= this.#outbox.haltedKeys()
  }

  returnLoad(): void {
    if (!this.#load?.answer) return
    this.state.reload(this.#load.answer)
    this.#loadedEpoch = this.#load.epoch
    this.#load = undefined
  }

  /** As the session does: the first row alone, then all again. */
  tryPaused(works: boolean): void {
    const [pause] = this.state.pauses.all
    if (!pause || !this.#isReady()) return
    // The answers of a connection come in order.
    this.executeFetch()
    this.returnFetch()
    const waiting = this.#outbox
      .rowsInOrder()
      .filter(({ destination, id }) => destination === pause.destination && id >= pause.resumeFrom)
      .filter(({ id }) => !this.state.inFlight.has(id))
    const [first] = this.state.hold(waiting)
    if (first === undefined && this.state.held.length > 0) return this.startHold()
    if (first && this.#outbox.poison.has(first.id)) {
      this.state.inFlight.add(first.id)
      this.#bury(judge([first], [tooLarge]))
      return
    }
    if (first && !works) return
    if (first) {
      this.log.push(first)
      this.state.inFlight.add(first.id)
      this.#delete([first])
    }
    this.state.resume(pause)
  }

  executeDelete(): void {
    const next = this.#deletes.find((deletion) => deletion.xid === undefined)
    if (next) next.xid = this.#outbox.delete(next.ticket.ids)
  }

  returnDelete(): void {
    const [first] = this.#deletes
    if (first?.xid === undefined) return
    this.#deletes.shift()
    this.state.deleteCommitted(first.ticket, first.xid)
  }

  closeGaps(): void {
    this.state.position.mark(this.state.position.cursor, this.#outbox.delete([]))
  }

  /** What the scan from zero would report. */
  missed(): number[] {
    // It asks the lease first whether rows were put back.
    if (this.#outbox.epoch !== this.#loadedEpoch) return []
    const { position, inFlight, pauses } = this.state
    return [...this.#outbox.table.values()]
      .filter((row) => !pauses.has(row.destination))
      .map((row) => row.id)
      .filter((id) => !inFlight.has(id) && !position.isOpen(id))
  }

  #bury(rest: Judgement): void {
    const rows = rest.dead.map(({ row }) => row)
    this.#move = { ticket: this.state.deleteSent(idsOf(rows)), rows, status: 'dead', rest }
  }

  #judged(judgement: Judgement): void {
    if (judgement.undelivered.length > 0) this.state.judged(judgement, 0)
  }

  #delete(rows: readonly FetchedRow[]): void {
    if (rows.length === 0) return
    this.#deletes.push({ ticket: this.state.deleteSent(idsOf(rows)) })
  }
}

function idsOf(rows: readonly FetchedRow[]): number[] {
  return rows.map((row) => row.id)
}
