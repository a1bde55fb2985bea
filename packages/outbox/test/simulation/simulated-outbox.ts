import type { FetchTicket } from '../../src/drain/drain-state.ts'
import type { HaltedKey } from '../../src/drain/halts.ts'
import type { Fetched } from '../../src/drain/outbox-table.ts'
import type { FetchedRow } from '../../src/drain/window.ts'

/** The first one halts keys that have a dead row, the other one skips. */
export const destinations = ['orders', 'payments']
export const halts = (row: { destination: string }) => row.destination === 'orders'

export interface Running {
  readonly xid: number
  readonly key: string
  readonly rows: FetchedRow[]
}

type Dead = { readonly row: FetchedRow; readonly status: 'dead' | 'waiting' }

/** Postgres as far as it matters: xids, snapshots, ids from a sequence, a lock for each key, the epoch of the lease. */
export class SimulatedOutbox {
  readonly table = new Map<number, FetchedRow>()
  readonly committed: FetchedRow[] = []
  readonly dead = new Map<number, Dead>()
  /** What no broker takes, until it is repaired. */
  readonly poison = new Set<number>()
  /** What was dead and was put back. */
  readonly repaired = new Set<number>()
  readonly discarded = new Set<number>()
  running: Running[] = []
  epoch = 1
  #nextXid = 100
  #lastEndedXid = 99
  #nextId = 1

  begin(key: string): void {
    if (this.running.some((tx) => tx.key === key)) return
    this.running.push({ xid: this.#nextXid++, key, rows: [] })
  }

  draw(tx: Running, destination: string, isPoison = false): void {
    const id = this.#nextId++
    const { key } = tx
    const text = { messageId: String(id), type: 't.v1', payload: '{}', headers: {} }
    tx.rows.push({ id, destination, key, bytes: 10, ...text })
    if (isPoison) this.poison.add(id)
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
    const rows = this.rowsInOrder()
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

  rowsInOrder(): FetchedRow[] {
    return [...this.table.values()].toSorted((a, b) => a.id - b.id)
  }

  delete(ids: readonly number[]): number {
    for (const id of ids) this.table.delete(id)
    return this.#writtenXid()
  }

  /** Moves rows to the dead ones, if nothing was put back since the epoch; gives the xid. */
  move(epoch: number, rows: readonly FetchedRow[], status: Dead['status']): number | undefined {
    if (epoch !== this.epoch) return undefined
    for (const { id } of rows) {
      const row = this.table.get(id)
      if (row) this.dead.set(id, { row, status })
      this.table.delete(id)
    }
    return this.#writtenXid()
  }

  haltedKeys(): HaltedKey[] {
    return [...this.dead.values()]
      .filter(({ row, status }) => status === 'dead' && halts(row))
      .map(({ row: { id, destination, key } }) => ({ destination, key, from: id }))
  }

  deadIds(): number[] {
    return [...this.dead].filter(([, { status }]) => status === 'dead').map(([id]) => id)
  }

  /** What an operator does: those that wait for this one alone go back too. */
  settle(id: number, verb: 'put back' | 'discard'): void {
    const dead = this.dead.get(id)
    if (dead === undefined) return
    this.epoch += 1
    this.dead.delete(id)
    if (verb === 'put back') {
      this.poison.delete(id)
      this.repaired.add(id)
      this.table.set(id, dead.row)
    } else {
      this.discarded.add(id)
    }
    const ofKey = [...this.dead.values()].filter(
      ({ row }) => row.key === dead.row.key && row.destination === dead.row.destination,
    )
    const isDead = ofKey.filter(({ status }) => status === 'dead').map(({ row }) => row.id)
    const nextDead = Math.min(...isDead)
    for (const { row, status } of ofKey) {
      if (status === 'dead' || row.id > nextDead) continue
      this.dead.delete(row.id)
      this.table.set(row.id, row)
    }
    this.#writtenXid()
  }

  #writtenXid(): number {
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
