/**
 * The ids that were fetched and may still be in the table: what a fetch brings of them is not new.
 *
 * A fetch that was under way while a delete committed may still bring the deleted rows. So an id is forgotten only when a
 * fetch that was sent after the commit has returned; forgotten earlier, rows are published twice in normal running.
 */
export class InFlight {
  readonly #ids = new Set<number>()
  #deleted: { ids: readonly number[]; fetchesSent: number }[] = []
  #fetchesSent = 0

  get size(): number {
    return this.#ids.size
  }

  has(id: number): boolean {
    return this.#ids.has(id)
  }

  add(id: number): void {
    this.#ids.add(id)
  }

  /** What was thrown away unpublished: the next fetch brings it anew. */
  giveBack(ids: readonly number[]): void {
    for (const id of ids) this.#ids.delete(id)
  }

  /** A fetch is being sent; gives its number. */
  fetchSent(): number {
    this.#fetchesSent += 1
    return this.#fetchesSent
  }

  /** The delete of these rows has committed. */
  deleteCommitted(ids: readonly number[]): void {
    this.#deleted.push({ ids, fetchesSent: this.#fetchesSent })
  }

  /** What is under way is of no use: nothing that was sent before can bring deleted rows any more. */
  forgetDeleted(): void {
    for (const { ids } of this.#deleted) this.giveBack(ids)
    this.#deleted = []
  }

  /** The fetch with this number has returned, and its rows were compared with this set. */
  fetchReturned(fetch: number): void {
    const [oldest] = this.#deleted
    if (oldest === undefined || oldest.fetchesSent >= fetch) return
    for (const { ids, fetchesSent } of this.#deleted) if (fetchesSent < fetch) this.giveBack(ids)
    this.#deleted = this.#deleted.filter((deleted) => deleted.fetchesSent >= fetch)
  }
}
