import type { Fetched } from './outbox-table.ts'
import type { FetchedRow } from './window.ts'

/**
 * From commit to acknowledgement, measured on one row at a time: the oldest of a fetch, by the clock of the database, and from
 * there on by ours. For every row it would cost more than it says.
 */
export class OldestRow {
  #row: { id: number; seconds: number; atMs: number } | undefined

  note({ rows, oldestSeconds }: Fetched, cursor: number): void {
    if (this.#row) return
    const oldest = rows.find((row) => row.id > cursor)
    if (oldest) this.#row = { id: oldest.id, seconds: oldestSeconds, atMs: performance.now() }
  }

  /** The seconds that it took, when it is among these. */
  delivered(rows: readonly FetchedRow[]): number | undefined {
    const oldest = this.#row
    if (!oldest || !rows.some((row) => row.id === oldest.id)) return undefined
    this.#row = undefined
    return oldest.seconds + (performance.now() - oldest.atMs) / 1000
  }

  /** It is read again. */
  forget(): void {
    this.#row = undefined
  }
}
