import { closeSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Charge, charge } from './domain/charge.ts'

/** What is held and what was given back, in one currency. */
export type Totals = { capturedMinor: number; refundedMinor: number }

/** The provider's own books: every key that it was ever asked about, in memory and in a file. */
export type Ledger = {
  get(key: string): Charge | undefined
  /** Resolves once the line is in the file; only then does `get` know it, and only then may it be answered. */
  write(charge: Charge): Promise<void>
  /** Keys in the order in which they were first written. */
  page(from: number, limit: number): Charge[]
  readonly size: number
  totals(): Record<string, Totals>
  close(): void
}

type Waiting = { charge: Charge; line: string; written: PromiseWithResolvers<void> }

/**
 * Opens the ledger file: JSON lines, appended only, the last line of a key holds. A SIGKILL at any moment leaves whole
 * lines and at most one torn at the end, which nobody was told about: it is cut off.
 * @throws Error when a line in the middle cannot be read: that is no crash but damage, and money is in there
 */
export function openLedger(path: string): Ledger {
  mkdirSync(dirname(path), { recursive: true })
  const file = openSync(path, 'a')
  const books = new Books()
  for (const known of replay(path)) books.apply(known)
  let waiting: Waiting[] = []

  // One synchronous write for all charges of a turn of the event loop. It goes to the page cache in microseconds, which
  // a SIGKILL does not take away, and costs no hop to the thread pool and back.
  function flush(): void {
    const group = waiting
    waiting = []
    writeWhole(file, group.map((one) => one.line).join(''))
    for (const { charge: written, written: done } of group) {
      books.apply(written)
      done.resolve()
    }
  }

  return {
    get: (key) => books.byKey.get(key),
    write(written) {
      const done = Promise.withResolvers<void>()
      if (waiting.length === 0) setImmediate(flush)
      waiting.push({ charge: written, line: `${JSON.stringify(written)}\n`, written: done })
      return done.promise
    },
    page: (from, limit) =>
      books.keys.slice(from, from + limit).flatMap((key) => books.byKey.get(key) ?? []),
    get size() {
      return books.keys.length
    },
    totals: () => Object.fromEntries([...books.totals].map(([name, sums]) => [name, { ...sums }])),
    close: () => closeSync(file),
  }
}

class Books {
  readonly byKey = new Map<string, Charge>()
  readonly keys: string[] = []
  readonly totals = new Map<string, Totals>()

  apply(next: Charge): void {
    const before = this.byKey.get(next.key)
    if (!before) this.keys.push(next.key)
    this.byKey.set(next.key, next)
    if (next.status === 'captured' && before?.status !== 'captured') {
      this.#totalsOf(next.currency).capturedMinor += next.amountMinor
    }
    if (next.status === 'refunded' && before?.status !== 'refunded') {
      this.#totalsOf(next.currency).refundedMinor += next.amountMinor
    }
  }

  #totalsOf(currency: string): Totals {
    const known = this.totals.get(currency)
    if (known) return known
    const fresh = { capturedMinor: 0, refundedMinor: 0 }
    this.totals.set(currency, fresh)
    return fresh
  }
}

function* replay(path: string): Generator<Charge> {
  const bytes = readFileSync(path)
  const wholeBytes = bytes.lastIndexOf('\n') + 1
  if (wholeBytes < bytes.length) truncateSync(path, wholeBytes)
  const lines = bytes.subarray(0, wholeBytes).toString('utf8').split('\n')
  for (const [index, line] of lines.entries()) {
    if (line === '') continue
    yield readLine(line, `${path}:${index + 1}`)
  }
}

function readLine(line: string, place: string): Charge {
  try {
    return charge.parse(JSON.parse(line))
  } catch (error) {
    throw new Error(`${place} is not a line of a ledger`, { cause: error })
  }
}

// A failed write may leave half a line, after which nothing may be appended: whoever catches nothing ends the process.
function writeWhole(file: number, text: string): void {
  const bytes = Buffer.from(text)
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
}
