import type {
  AllChanged,
  AllKeys,
  BoundMessage,
  Changed,
  Loaded,
  RowStore,
  Rows,
  Tables,
} from './handler.ts'

/** The keys that a batch needs, over all its messages: sorted, so that all batches lock in the same order. */
export function mergeKeys<T extends Tables>(
  store: RowStore<T>,
  messages: readonly BoundMessage<T>[],
): AllKeys<T> {
  return mapTables(store, (table) => {
    const keys = new Set<string>()
    for (const message of messages) for (const key of message.keys[table] ?? []) keys.add(key)
    return [...keys].toSorted()
  })
}

/** The rows of a batch while its messages are decided one after the other. */
export class BatchRows<T extends Tables> {
  readonly rows: Rows<T>
  readonly #store: RowStore<T>
  readonly #maps: Loaded<T>
  readonly #changed: { readonly [K in keyof T]: Set<string> }

  constructor(store: RowStore<T>, loaded: Loaded<T>) {
    this.#store = store
    this.#maps = loaded
    this.rows = loaded
    this.#changed = mapTables(store, () => new Set<string>())
  }

  /** Takes over what one decision changed, so that the next one sees it. */
  apply(changed: Changed<T>): void {
    for (const table of tablesOf(this.#store)) this.#applyTable(table, changed[table])
  }

  /** Every row that changed, once, in its last state. */
  changed(): AllChanged<T> {
    return mapTables(this.#store, (table) => this.#changedRows(table))
  }

  #applyTable<K extends keyof T>(table: K, rows: readonly T[K][] | undefined): void {
    for (const row of rows ?? []) {
      const key = this.#store.keyOf[table](row)
      this.#maps[table].set(key, row)
      this.#changed[table].add(key)
    }
  }

  // Sorted like the locks: rows that are new are inserted in one order by every batch.
  #changedRows<K extends keyof T>(table: K): T[K][] {
    const rows: T[K][] = []
    for (const key of [...this.#changed[table]].toSorted()) {
      const row = this.#maps[table].get(key)
      if (row !== undefined) rows.push(row)
    }
    return rows
  }
}

function tablesOf<T extends Tables>(store: RowStore<T>): (keyof T)[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keyOf names every table, by its type
  return Object.keys(store.keyOf) as (keyof T)[]
}

/** An object with one value for each table. */
function mapTables<T extends Tables, Out extends { [K in keyof T]: unknown }>(
  store: RowStore<T>,
  make: <K extends keyof T>(table: K) => Out[K],
): Out {
  const out: Partial<Out> = {}
  for (const table of tablesOf(store)) out[table] = make(table)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every table was visited just now
  return out as Out
}
