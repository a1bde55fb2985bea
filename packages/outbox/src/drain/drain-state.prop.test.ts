import { AppError } from '@edp/runtime'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DrainState, type DeleteTicket, type FetchTicket } from './drain-state.ts'
import type { Fetched } from './outbox-table.ts'
import { type FetchedRow, judge } from './window.ts'

// A drain against a simulated Postgres and broker, in which everything that may happen in any order does: transactions that
// draw ids early and commit late, roll back or live long, fetches and deletes that are executed at one moment and answered
// at another, sends that fail with the messages there or not, destinations that are paused.

const destinations = ['orders', 'payments']
const bounds = { rowsMax: 5, bytesMax: 1_000_000, oneRowOfAKey: false }

interface Running {
  readonly xid: number
  readonly key: string
  readonly rows: FetchedRow[]
}

/** Postgres as far as it matters: xids, snapshots, ids from a sequence, a lock for each key. */
class SimulatedOutbox {
  readonly table = new Map<number, FetchedRow>()
  readonly committed: FetchedRow[] = []
  running: Running[] = []
  #nextXid = 100
  #lastEndedXid = 99
  #nextId = 1

  begin(key: string): void {
    if (this.running.some((tx) => tx.key === key)) return
    this.running.push({ xid: this.#nextXid++, key, rows: [] })
  }

  draw(tx: Running, destination: string): void {
    const id = this.#nextId++
    const { key } = tx
    const text = { messageId: String(id), type: 't.v1', payload: '{}', headers: {} }
    tx.rows.push({ id, destination, key, bytes: 10, ...text })
  }

  /** An id that this transport never sees a row for. */
  skipIds(count: number): void {
    this.#nextId += count
  }

  end(tx: Running, outcome: 'commit' | 'rollback'): void {
    this.running = this.running.filter((other) => other !== tx)
    this.#lastEndedXid = Math.max(this.#lastEndedXid, tx.xid)
    if (outcome === 'rollback') return
    for (const row of tx.rows) {
      this.table.set(row.id, row)
      this.committed.push(row)
    }
  }

  fetch({ request }: FetchTicket): Fetched {
    const rows = [...this.table.values()].toSorted((a, b) => a.id - b.id)
    const inGaps = rows.filter(
      (row) =>
        request.gaps.some((gap) => gap.low <= row.id && row.id <= gap.high) &&
        !request.paused.includes(row.destination),
    )
    const above = rows.filter((row) => row.id > request.cursor)
    return {
      xmin: this.#xmin(),
      oldestSeconds: 0,
      rows: [...inGaps.slice(0, request.gapRowsMax), ...above.slice(0, request.rowsMax)],
    }
  }

  delete(ids: readonly number[]): number {
    for (const id of ids) this.table.delete(id)
    const xid = this.#nextXid++
    this.#lastEndedXid = xid
    return xid
  }

  // As GetSnapshotData has it: xmax is one past the highest xid that has ended, so a transaction may run above it.
  #xmin(): number {
    const xmax = this.#lastEndedXid + 1
    return Math.min(xmax, ...this.running.map((tx) => tx.xid))
  }
}

/** The relay's side, one step at a time. */
class SimulatedDrain {
  readonly state = new DrainState({ gapsMax: 2, pauseBackoff: { baseMs: 1, capMs: 1 } })
  readonly log: FetchedRow[] = []
  readonly #outbox: SimulatedOutbox
  #fetch: { ticket: FetchTicket; answer?: Fetched } | undefined
  #deletes: { ticket: DeleteTicket; xid?: number }[] = []
  #window: FetchedRow[] | undefined
  failedSends = 0

  constructor(outbox: SimulatedOutbox) {
    this.#outbox = outbox
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

  startSend(): void {
    if (!this.#window && this.state.buffered > 0) this.#window = this.state.take(bounds)
  }

  /** @param arrived whether the broker has what failed all the same */
  endSend(fails: (row: FetchedRow, index: number) => boolean, arrived: boolean): void {
    const window = this.#window
    if (!window) return
    this.#window = undefined
    this.log.push(...window.filter((row, index) => arrived || !fails(row, index)))
    const judgement = judge(
      window,
      window.map((row, index) => (fails(row, index) ? outage : undefined)),
    )
    this.#delete(judgement.delivered)
    if (judgement.undelivered.length > 0) this.failedSends += 1
    this.state.judged(judgement, 0)
  }

  /** As the session does: the first row alone, then all again. */
  tryPaused(works: boolean): void {
    const [pause] = this.state.pauses.all
    if (!pause || this.#window) return
    // The answers of a connection come in order.
    this.executeFetch()
    this.returnFetch()
    const first = [...this.#outbox.table.values()]
      .toSorted((a, b) => a.id - b.id)
      .find(
        (row) =>
          row.destination === pause.destination &&
          row.id >= pause.resumeFrom &&
          !this.state.inFlight.has(row.id),
      )
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
    const { position, inFlight, pauses } = this.state
    return [...this.#outbox.table.values()]
      .filter((row) => !pauses.has(row.destination))
      .map((row) => row.id)
      .filter((id) => !inFlight.has(id) && !position.isOpen(id))
  }

  #delete(rows: readonly FetchedRow[]): void {
    if (rows.length === 0) return
    this.#deletes.push({ ticket: this.state.deleteSent(rows.map((row) => row.id)) })
  }
}

// A run is long, and the machine may be busy.
const runs = 300
const timeoutMs = 60_000
const nothingFails = () => false
const outage = new AppError('down', 'down', { retry: 'transient-everything' })
const keys = ['a', 'b', 'c', 'd']

interface World {
  readonly outbox: SimulatedOutbox
  readonly drain: SimulatedDrain
}

type Step = (world: World, pick: number) => void

const begin: Step = ({ outbox }, pick) => outbox.begin(keys[pick % keys.length] ?? 'a')
const draw: Step = ({ outbox }, pick) => {
  const tx = outbox.running[pick % outbox.running.length]
  if (tx) outbox.draw(tx, destinations[(pick >> 4) % 2] ?? 'orders')
}
const end: Step = ({ outbox }, pick) => {
  const tx = outbox.running[pick % outbox.running.length]
  if (tx) outbox.end(tx, (pick >> 4) % 5 === 0 ? 'rollback' : 'commit')
}
const fetch: Step = (world, pick) => {
  world.drain.sendFetch()
  if (pick % 4 > 0) world.drain.executeFetch()
  if (pick % 4 > 2) world.drain.returnFetch()
}

/** Everything that may happen next, the frequent several times. `pick` chooses among what there is. */
const steps: readonly Step[] = [
  begin,
  begin,
  draw,
  draw,
  draw,
  end,
  end,
  ({ outbox }, pick) => outbox.skipIds(pick % 3),
  fetch,
  fetch,
  ({ drain }) => drain.executeFetch(),
  ({ drain }) => drain.returnFetch(),
  ({ drain }) => drain.returnFetch(),
  ({ drain }) => drain.startSend(),
  ({ drain }) => drain.startSend(),
  ({ drain }) => drain.endSend(nothingFails, false),
  ({ drain }) => drain.endSend(nothingFails, false),
  ({ drain }) => drain.executeDelete(),
  ({ drain }) => drain.returnDelete(),
  ({ drain }) => drain.closeGaps(),
  // Reading again, for whatever reason, publishes nothing twice.
  ({ drain }, pick) => drain.state.rewind(Math.max(1, drain.state.position.cursor - (pick % 9))),
]

const failures: readonly Step[] = [
  // A destination, everything, or single rows, whose key then waits.
  ({ drain }, pick) =>
    drain.endSend((row) => row.destination === destinations[pick % 2], pick % 3 === 0),
  ({ drain }, pick) => drain.endSend(() => true, pick % 3 === 0),
  // A publisher sends nothing of a key behind the row of it that failed.
  ({ drain }, pick) =>
    drain.endSend((row, index) => row.key === keys[pick % 4] && index >= pick % 3, false),
  ({ drain }, pick) => drain.tryPaused(pick % 2 === 0),
]

/** Lets every transaction end and everything arrive. */
function settle({ outbox, drain }: World): void {
  for (const tx of outbox.running) outbox.end(tx, 'commit')
  for (let round = 0; round < 200; round += 1) {
    drain.sendFetch()
    drain.executeFetch()
    drain.returnFetch()
    drain.startSend()
    drain.endSend(nothingFails, false)
    drain.executeDelete()
    drain.returnDelete()
    drain.tryPaused(true)
  }
}

/** The first delivery of each row, by destination and key. */
function firstDeliveries(log: readonly FetchedRow[]): Map<string, number[]> {
  const seen = new Set<number>()
  const first = log.filter((row) => !seen.has(row.id) && seen.add(row.id))
  return new Map(
    [...Map.groupBy(first, (row) => `${row.destination} ${row.key}`)].map(([key, rows]) => [
      key,
      rows.map((row) => row.id),
    ]),
  )
}

const walk = (choices: number) =>
  fc.array(fc.tuple(fc.nat({ max: choices - 1 }), fc.nat({ max: 1000 })), {
    minLength: 10,
    maxLength: 500,
    // Its default keeps arrays at about ten.
    size: 'max',
  })

function play(all: typeof steps, moves: readonly (readonly [number, number])[]): World {
  const outbox = new SimulatedOutbox()
  const world = { outbox, drain: new SimulatedDrain(outbox) }
  for (const [step, pick] of moves) {
    all[step]?.(world, pick)
    expect(world.drain.missed()).toEqual([])
  }
  settle(world)
  return world
}

function expectAllInOrder({ outbox, drain }: World): void {
  const delivered = new Set(drain.log.map((row) => row.id))
  expect([...delivered].toSorted((a, b) => a - b)).toEqual(
    outbox.committed.map((row) => row.id).toSorted((a, b) => a - b),
  )
  expect(outbox.table.size).toBe(0)
  for (const ids of firstDeliveries(drain.log).values()) {
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
  }
}

test(
  'while nothing fails every committed row is published once, each key in order',
  () => {
    fc.assert(
      fc.property(walk(steps.length), (moves) => {
        const world = play(steps, moves)
        expectAllInOrder(world)
        expect(world.drain.log).toHaveLength(world.outbox.committed.length)
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)

test(
  'whatever fails, every committed row is published, each key in the order of its first delivery',
  () => {
    const all = [...steps, ...failures]
    fc.assert(
      fc.property(walk(all.length), (moves) => {
        expectAllInOrder(play(all, moves))
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)
