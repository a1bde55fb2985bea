/** Ids from `low` to `high` that no row has been seen for. */
export interface Gap {
  readonly low: number
  readonly high: number
}

/**
 * How far the outbox has been read, and which ids below that may still turn up.
 *
 * Ids are drawn before the commit, so a transaction that commits late brings a row with an id below the cursor. Reading only
 * what lies above the cursor would lose it, and reading it late would let its own key overtake it (3,798 inversions in 23,187
 * rows, measured). So every id below the cursor that no row was seen for is a gap, and each fetch reads the gaps too, in one
 * snapshot with what is new: whoever sees a row of a key then also sees the earlier rows of that key.
 *
 * A gap is closed when nobody can fill it any more. That needs two snapshots: a transaction of our own that begins after the
 * id above the gap was seen has an xid Y (`mark`). Whoever drew an id below had an xid before that, so it is lower than Y. Once
 * a fetch has returned whose snapshot has `pg_snapshot_xmin` ≥ Y, all of those have ended, and what they committed was seen
 * (`settle`). `pg_snapshot_xmax` is no substitute for Y: it is one past the highest xid that has ended, and a transaction that
 * is still running may lie above it.
 */
export class ReadPosition {
  #cursor = 0
  #settledUpTo = 0
  #gaps: Gap[] = []
  #marks: { upTo: number; xid: number }[] = []
  readonly #gapsMax: number

  constructor(options: { gapsMax: number }) {
    this.#gapsMax = options.gapsMax
  }

  /** Everything above it is new. */
  get cursor(): number {
    return this.#cursor
  }

  /** Ascending, without overlap. May cover ids that were seen, when there are more than `gapsMax`. */
  get gaps(): readonly Gap[] {
    return this.#gaps
  }

  /** Every row at or below it has been seen, and no other can turn up. */
  get floor(): number {
    const [lowest] = this.#gaps
    return lowest ? lowest.low - 1 : this.#cursor
  }

  /** Whether a row with this id may turn up without anything being wrong. */
  isOpen(id: number): boolean {
    return id > this.#cursor || this.#gaps.some((gap) => gap.low <= id && id <= gap.high)
  }

  /** Takes over what a fetch saw above the cursor: ids in ascending order. */
  advance(ids: readonly number[]): void {
    let next = this.#cursor + 1
    for (const id of ids) {
      if (id > next) this.#open(next, id - 1)
      next = id + 1
    }
    this.#cursor = next - 1
    while (this.#gaps.length > this.#gapsMax) this.#gaps = joinPairs(this.#gaps)
  }

  /** Takes over what a fetch saw in the gaps: ids in ascending order. */
  takeLate(ids: readonly number[]): void {
    for (const id of ids) {
      const index = this.#gaps.findIndex((gap) => gap.low <= id && id <= gap.high)
      const gap = this.#gaps[index]
      if (gap) this.#gaps.splice(index, 1, ...without(gap, id))
    }
  }

  /** A transaction with this xid began after everything up to `upTo` had been seen. */
  mark(upTo: number, xid: number): void {
    this.#marks.push({ upTo, xid })
  }

  /** A fetch has returned that read all gaps, in a snapshot in which every xid below `xmin` had ended. */
  settle(xmin: number): void {
    let open = 0
    for (const mark of this.#marks) {
      if (mark.xid <= xmin) this.#settledUpTo = Math.max(this.#settledUpTo, mark.upTo)
      else this.#marks[open++] = mark
    }
    this.#marks.length = open
    const [lowest] = this.#gaps
    if (lowest && lowest.low <= this.#settledUpTo) this.#closeSettled()
  }

  /** Goes back, so that everything above `cursor` is read again. */
  rewind(cursor: number): void {
    if (cursor >= this.#cursor) return
    this.#cursor = cursor
    this.#gaps = this.#gaps
      .filter((gap) => gap.low <= cursor)
      .map((gap) => ({ low: gap.low, high: Math.min(gap.high, cursor) }))
  }

  #open(low: number, high: number): void {
    const from = Math.max(low, this.#settledUpTo + 1)
    if (from <= high) this.#gaps.push({ low: from, high })
  }

  #closeSettled(): void {
    const from = this.#settledUpTo + 1
    this.#gaps = this.#gaps
      .filter((gap) => gap.high >= from)
      .map((gap) => ({ low: Math.max(gap.low, from), high: gap.high }))
  }
}

function without(gap: Gap, id: number): Gap[] {
  return [
    { low: gap.low, high: id - 1 },
    { low: id + 1, high: gap.high },
  ].filter((part) => part.low <= part.high)
}

function joinPairs(gaps: readonly Gap[]): Gap[] {
  const joined: Gap[] = []
  for (let index = 0; index < gaps.length; index += 2) {
    const first = gaps[index]
    const last = gaps[index + 1] ?? first
    if (first && last) joined.push({ low: first.low, high: last.high })
  }
  return joined
}
