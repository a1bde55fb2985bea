import type { OutboxRow } from '../publisher.ts'

/** A key that stands still at its destination from its first dead row on. */
export interface HaltedKey {
  readonly destination: string
  readonly key: string
  /** The id of that row. What lies before it may still go out. */
  readonly from: number
}

type Keyed = Pick<OutboxRow, 'destination' | 'key'>

/** The keys that stand still: nothing of them goes out that comes after a dead row. */
export class Halts {
  #from = new Map<string, number>()

  get size(): number {
    return this.#from.size
  }

  /** Whether the row comes after a dead one of its key. */
  holds(row: Keyed & { readonly id: number }): boolean {
    const from = this.#from.get(nameOf(row))
    return from !== undefined && row.id > from
  }

  add({ destination, key, from }: HaltedKey): void {
    const name = nameOf({ destination, key })
    this.#from.set(name, Math.min(from, this.#from.get(name) ?? from))
  }

  replace(all: readonly HaltedKey[]): void {
    this.#from = new Map()
    for (const halted of all) this.add(halted)
  }
}

function nameOf({ destination, key }: Keyed): string {
  return `${destination}\n${key}`
}
