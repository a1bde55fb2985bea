import { setImmediate } from 'node:timers/promises'
import { faultPoint, Linger, type Logger } from '@edp/runtime'
import type { Publisher } from '../publisher.ts'
import type { DrainBounds } from './bounds.ts'
import type { DeadRows } from './dead-rows.ts'
import { DrainState, type FetchSummary } from './drain-state.ts'
import { emptyWaitMs } from './empty-wait.ts'
import type { Lease } from './lease.ts'
import type { DrainMetrics } from './metrics.ts'
import { OldestRow } from './oldest-row.ts'
import type { OutboxTable } from './outbox-table.ts'
import type { Pause } from './pauses.ts'
import { publishSafely } from './publish-safely.ts'
import { Signal } from './signal.ts'
import { type FetchedRow, type Judgement, judge, type WindowBounds } from './window.ts'

/** What a session needs. */
export interface SessionOptions {
  readonly reader: OutboxTable
  readonly writer: OutboxTable
  readonly publisher: Publisher
  readonly bounds: DrainBounds
  readonly oneRowOfAKey: boolean
  /** Whether rows to this destination overtake the others. */
  readonly isExpress: (destination: string) => boolean
  readonly lease: Lease
  readonly deadRows: DeadRows
  /** Told when rows became dead. */
  readonly onDead: () => void
  readonly metrics: DrainMetrics
  readonly logger: Logger
}

/**
 * Drains one outbox while the lease lasts. Three things overlap: the next rows are fetched while a window is being
 * published, and what was acknowledged is deleted meanwhile. One window is under way at a time.
 */
export class DrainSession {
  readonly state: DrainState
  readonly #options: SessionOptions
  readonly #window: WindowBounds
  readonly #rowsCame = new Signal()
  readonly #roomCame = new Signal()
  readonly #pollDue = new Signal()
  readonly #upkeepDue = new Signal()
  readonly #deleteDue = new Signal()
  readonly #deleted = new Signal()
  /** Ids of rows that a broker has and the table still has. */
  readonly #acknowledged: number[] = []
  #publishingEnded = false
  #rowsMax: number
  #lastRowMs = performance.now()
  readonly #oldest = new OldestRow()
  #moreWaits = false
  readonly #linger: Linger
  #ending = false
  #failure: { error: unknown } | undefined

  constructor(options: SessionOptions) {
    const { bounds, oneRowOfAKey, isExpress } = options
    this.#options = options
    this.state = new DrainState(bounds)
    this.#rowsMax = bounds.batchRowsMax
    this.#linger = new Linger(bounds.linger)
    this.#window = {
      rowsMax: bounds.batchRowsMax,
      bytesMax: bounds.batchBytesMax,
      oneRowOfAKey,
      isExpress,
    }
  }

  /**
   * Drains until `end` is called or the lease has run out.
   * @throws what Postgres said, once everything that was under way has ended
   */
  async run(): Promise<void> {
    // What stands still is known before the first row is read.
    await this.#reload()
    const guard = (loop: Promise<void>) => loop.catch((error: unknown) => this.#fail(error))
    const deleting = guard(this.#deleteLoop())
    await Promise.all([this.#fetchLoop(), this.#publishLoop(), this.#upkeepLoop()].map(guard))
    this.#publishingEnded = true
    this.#deleteDue.set()
    await deleting
    if (this.#failure) throw this.#failure.error
  }

  /** Publishes no more; `run` ends when what was acknowledged is deleted. */
  end(): void {
    this.#ending = true
    this.#rowsCame.set()
    this.#roomCame.set()
    this.#pollDue.set()
    this.#upkeepDue.set()
    this.#deleted.set()
  }

  /** The lease was renewed: what it says may have changed. */
  leaseRenewed(): void {
    if (!this.#options.deadRows.isCurrent) this.#rowsCame.set()
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.end()
  }

  async #fetchLoop(): Promise<void> {
    let waitedMs = 0
    while (!this.#ending) {
      if (!this.#wantsRows()) {
        await this.#roomCame.wait()
        continue
      }
      const startedMs = performance.now()
      const summary = await this.#fetch()
      this.#moreWaits = summary.full
      if (summary.rows > 0) this.#rowsCame.set()
      waitedMs = this.#emptyWaitMs(summary.rows, waitedMs)
      const lingerMs = this.#lingerMs(summary, startedMs)
      const waitMs = summary.full ? 0 : Math.max(waitedMs, lingerMs)
      if (waitMs > 0 && !this.#ending) await this.#pollDue.wait(waitMs)
    }
  }

  // Of a backlog the next window is fetched while one is published. Otherwise rows that come while a window is being published
  // are left to gather in the table: one fetch then brings them all.
  #wantsRows(): boolean {
    const { buffered } = this.state
    return buffered === 0 || (this.#moreWaits && buffered < this.#options.bounds.batchRowsMax)
  }

  #emptyWaitMs(rows: number, lastMs: number): number {
    const nowMs = performance.now()
    if (rows > 0) {
      this.#lastRowMs = nowMs
      return 0
    }
    return emptyWaitMs(this.#options.bounds, { lastMs, idleMs: nowMs - this.#lastRowMs })
  }

  #lingerMs(summary: FetchSummary, startedMs: number): number {
    const nowMs = performance.now()
    this.#linger.note(summary.rows, nowMs)
    return Math.max(0, startedMs + this.#linger.waitMs(nowMs) - nowMs)
  }

  async #fetch(): Promise<FetchSummary> {
    const { reader, metrics } = this.#options
    const stop = metrics.fetchSeconds.startTimer()
    const ticket = this.state.fetchSent(this.#rowsMax)
    const fetched = await reader.fetch(ticket.request)
    stop()
    this.#adaptRowsMax(fetched.rows)
    this.#oldest.note(fetched, ticket.request.cursor)
    const summary = this.state.fetchReturned(ticket, fetched)
    if (summary.late > 0) metrics.lateRows.inc(summary.late)
    return summary
  }

  // Postgres can bound rows but not bytes; after large rows few are asked for at once.
  #adaptRowsMax(rows: readonly FetchedRow[]): void {
    if (rows.length === 0) return
    const { batchRowsMax, fetchBytesMax } = this.#options.bounds
    let bytes = 0
    for (const row of rows) bytes += row.bytes
    const fitting = Math.floor((fetchBytesMax * rows.length) / Math.max(1, bytes))
    this.#rowsMax = Math.min(batchRowsMax, Math.max(1, fitting))
  }

  async #publishLoop(): Promise<void> {
    while (!this.#ending) {
      if (!this.#options.deadRows.isCurrent) {
        await this.#reload()
        // Who ended it meanwhile found nobody waiting.
        continue
      }
      const nowMs = performance.now()
      const pause = this.state.pauses.due(nowMs)
      if (this.#isHoldDue()) {
        await this.#hold()
      } else if (pause) {
        await this.#tryPaused(pause)
      } else if (this.state.buffered === 0) {
        await this.#rowsCame.wait(this.state.pauses.untilDueMs(nowMs))
      } else {
        await this.#publishNext()
      }
      while (this.#acknowledged.length >= this.#options.bounds.undeletedRowsMax && !this.#ending) {
        await this.#deleted.wait()
      }
    }
  }

  async #publishNext(): Promise<void> {
    const window = this.state.take(this.#window)
    this.#roomCame.set()
    // Lets the next fetch, and the last delete, go out to Postgres first: encoding a window keeps this thread busy for milliseconds,
    // in which Postgres can work. A third of the throughput hangs on it.
    if (this.#moreWaits) await setImmediate()
    const judgement = await this.#publish(window)
    if (judgement === undefined) return
    this.#acknowledge(judgement.delivered)
    if (judgement.dead.length > 0 && !(await this.#bury(judgement))) return
    if (judgement.undelivered.length === 0) return
    for (const pause of this.state.judged(judgement, performance.now())) this.#sayPaused(pause)
    this.#countPauses()
    if (judgement.failures.size > 0) this.#readAgain()
  }

  /** Moves the dead rows of a window; false when it could not, and everything is read again. */
  async #bury({ dead, undelivered }: Judgement): Promise<boolean> {
    const { deadRows, onDead } = this.#options
    const ticket = this.state.deleteSent(dead.map(({ row }) => row.id))
    const moved = await deadRows.bury(dead)
    if (moved === undefined) {
      await this.#lookAgain([...dead.map(({ row }) => row), ...undelivered])
      return false
    }
    this.state.deleteCommitted(ticket, moved.xid)
    for (const { row } of dead) {
      if (moved.ids.has(row.id) && deadRows.halts(row)) this.state.halt(row)
    }
    onDead()
    return true
  }

  // Full batches under load: each is a statement between two windows.
  #isHoldDue(): boolean {
    const { held, buffered } = this.state
    return held.length > 0 && (buffered === 0 || held.length >= this.#options.bounds.batchRowsMax)
  }

  /** Moves what was held behind the dead rows of its keys. */
  async #hold(): Promise<void> {
    const rows = this.state.takeHeld()
    const ticket = this.state.deleteSent(rows.map((row) => row.id))
    const moved = await this.#options.deadRows.hold(rows)
    if (moved === undefined) await this.#lookAgain(rows)
    else this.state.deleteCommitted(ticket, moved.xid)
    this.#roomCame.set()
  }

  /** These rows were to be moved, and the lease is no longer as we knew it: it is lost, or rows were put back. */
  async #lookAgain(rows: readonly FetchedRow[]): Promise<void> {
    this.state.throwAway(rows)
    if (!(await this.#options.lease.renew())) this.end()
    this.#readAgain()
  }

  /** Learns which keys stand still, and reads everything again: rows that were put back have ids that were passed long ago. */
  async #reload(): Promise<void> {
    this.state.reload(await this.#options.deadRows.load())
    this.#readAgain()
  }

  /** Sends the first row of a paused destination; when that arrives, the destination is no longer paused. */
  async #tryPaused(pause: Pause): Promise<void> {
    const { state } = this
    const { destination, resumeFrom } = pause
    const { reader, logger, bounds } = this.#options
    const limit = state.inFlight.size + (state.someHalted ? bounds.batchRowsMax : 1)
    const rows = await reader.fetchPaused(destination, resumeFrom, limit)
    const [first] = state.hold(rows.filter((row) => !state.inFlight.has(row.id)))
    // Behind those that stand still there may be one that does not.
    if (first === undefined && state.held.length > 0) return await this.#hold()
    if (first) {
      state.inFlight.add(first.id)
      const judgement = await this.#publish([first])
      // Dead is not away: the next row is tried at once.
      if (judgement && judgement.dead.length > 0) return void (await this.#bury(judgement))
      const error = judgement?.failures.get(destination)
      if (judgement === undefined || error) {
        state.inFlight.giveBack([first.id])
        if (error) state.pauses.pause({ destination, resumeFrom, error, nowMs: performance.now() })
        return
      }
      this.#acknowledge(judgement.delivered)
    }
    state.resume(pause)
    this.#readAgain()
    logger.info({ destination, attempts: pause.attempts }, 'the destination takes messages again')
    this.#countPauses()
  }

  /** Publishes a window; undefined when the lease has run out, which ends the session. */
  async #publish(window: readonly FetchedRow[]): Promise<Judgement | undefined> {
    const { publisher, metrics, lease } = this.#options
    const before = faultPoint('relay.before-publish')
    if (before) await before
    if (!lease.valid) {
      this.end()
      return undefined
    }
    const stop = metrics.publishSeconds.startTimer()
    const outcome = await publishSafely(publisher, window)
    stop()
    const after = faultPoint('relay.after-publish')
    if (after) await after
    const judgement = judge(window, outcome)
    metrics.batchRows.observe(window.length)
    metrics.published.inc(judgement.delivered.length)
    const ageSeconds = this.#oldest.delivered(judgement.delivered)
    if (ageSeconds !== undefined) metrics.commitToAck.observe(ageSeconds)
    for (const [destination, error] of judgement.failures) metrics.failed(destination, error.code)
    return judgement
  }

  #acknowledge(rows: readonly FetchedRow[]): void {
    const waiting = this.#acknowledged.length
    for (const row of rows) this.#acknowledged.push(row.id)
    const isFull = this.#acknowledged.length >= this.#options.bounds.batchRowsMax
    if (waiting === 0 || isFull) this.#deleteDue.set()
  }

  async #deleteLoop(): Promise<void> {
    while (!this.#publishingEnded || this.#acknowledged.length > 0) {
      if (this.#acknowledged.length === 0) {
        await this.#deleteDue.wait()
        continue
      }
      // Small windows share a delete: each is a transaction, and a row that was sent costs nothing where it is.
      const { deleteLingerMs, batchRowsMax } = this.#options.bounds
      if (!this.#publishingEnded && this.#acknowledged.length < batchRowsMax) {
        await this.#deleteDue.wait(deleteLingerMs)
      }
      await this.#deleteNow(this.#acknowledged.splice(0))
      this.#deleted.set()
    }
  }

  async #deleteNow(ids: readonly number[]): Promise<void> {
    const { writer, metrics } = this.#options
    const stop = metrics.deleteSeconds.startTimer()
    const ticket = this.state.deleteSent(ids)
    const xid = await writer.delete(ids)
    this.state.deleteCommitted(ticket, xid)
    stop()
    const after = faultPoint('relay.after-delete')
    if (after) await after
  }

  #sayPaused({ destination, error, attempts }: Pause): void {
    const fields = { err: error, destination, attempts }
    this.#options.logger.warn(fields, 'the destination takes nothing; paused')
  }

  #countPauses(): void {
    this.#options.metrics.pausedDestinations(this.state.pauses.size)
  }

  async #upkeepLoop(): Promise<void> {
    while (!this.#ending) {
      await this.#upkeepDue.wait(this.#options.bounds.scanIntervalMs)
      if (!this.#ending) await this.#scan()
    }
  }

  /** The safety net below `ReadPosition`: nothing is ever found here, unless something is wrong. */
  async #scan(): Promise<void> {
    const { state } = this
    const { reader, writer, lease, deadRows, metrics, logger, bounds } = this.#options
    const { generation } = state
    const { cursor, gaps } = state.position
    // Where nothing is deleted, because all is paused, gaps have to be closed all the same.
    if (gaps.length > 0) state.position.mark(cursor, await writer.newXid())
    const limit = state.inFlight.size + bounds.batchRowsMax
    const ids = await reader.scan(cursor, state.pauses.destinations, limit)
    if (generation !== state.generation) return
    const missed = ids.filter((id) => !state.inFlight.has(id) && !state.position.isOpen(id))
    if (missed.length === 0) return
    // What was put back a moment ago looks like that too. Then the lease says so.
    if (!(await lease.renew())) return this.end()
    if (!deadRows.isCurrent) return this.#rowsCame.set()
    if (generation !== state.generation) return
    metrics.missedRows.inc(missed.length)
    logger.error(
      { rows: missed.length, ids: missed.slice(0, 10) },
      'rows were missed, reading again',
    )
    state.rewind(Math.min(...missed))
    this.#readAgain()
  }

  #readAgain(): void {
    this.#oldest.forget()
    this.#roomCame.set()
    this.#pollDue.set()
  }
}
