import type pg from 'pg'
import { AppError } from '../errors.ts'
import { ask } from './ask.ts'
import type { Statement } from './statement.ts'
import { Wave } from './wave.ts'

/** Writes what was collected in a transaction, in one statement that it sends before it awaits anything, just before the commit. */
export type Flush<Item> = (tx: Tx, items: Item[]) => Promise<unknown>

interface Collected {
  flush: () => Promise<unknown>
  items: unknown[]
}

/** What is sent: a statement, or what begins or ends a transaction. */
type Sent = Pick<Statement, 'name' | 'sql'>

const begin: Sent = { name: 'begin', sql: 'begin isolation level read committed' }
const commit: Sent = { name: 'commit', sql: 'commit' }
const checkRows = process.env['NODE_ENV'] !== 'production'

/**
 * One READ COMMITTED transaction on a connection of its own. Statements are sent without waiting for the answer of the one before,
 * those of one turn of the event loop as one wave; the server runs them in order. Whoever was handed a Tx neither begins nor commits.
 */
export class Tx {
  readonly #client: pg.ClientBase
  readonly #pending: Promise<unknown>[] = []
  readonly #collected = new Map<unknown, Collected>()
  #firstError: unknown
  /** What is sent next; a wave that is under way is waited for. */
  #wave: Wave | undefined
  #isUnderWay = false
  #isOver = false

  constructor(client: pg.ClientBase) {
    this.#client = client
  }

  /**
   * Runs a statement. Need not be awaited when nothing depends on its rows: `commit` awaits it.
   * @throws the Postgres error, or the one of an earlier statement that made this one fail; AppError `transaction-over` (permanent)
   * behind the COMMIT
   */
  run<Row>(statement: Statement<Row>, values: readonly unknown[] = []): Promise<Row[]> {
    return handled(this.#send(statement, values).then((result) => readRows(statement, result.rows)))
  }

  /** Like `run`, for a statement that returns no rows: how many it touched. */
  execute(statement: Statement<never>, values: readonly unknown[] = []): Promise<number> {
    return handled(this.#send(statement, values).then((result) => result.rowCount ?? 0))
  }

  /**
   * Keeps items until the commit, where one call of `flush` gets all of them, in the order in which they came. This is
   * how outbox rows go last and in one statement.
   */
  collect<Item>(flush: Flush<Item>, items: readonly Item[]): void {
    const collected = this.#collected.get(flush)
    if (collected) {
      collected.items.push(...items)
      return
    }
    const all: Item[] = [...items]
    this.#collected.set(flush, { items: all, flush: () => flush(this, all) })
  }

  /** For `transaction` alone. */
  begin(): void {
    void this.#send(begin)
  }

  /**
   * For `transaction` alone. Sends what was collected and the COMMIT, and awaits everything.
   * @throws when any statement failed, or when the answer to COMMIT was not COMMIT: pg reports the rollback of a failed
   * transaction as a success with another tag
   */
  async commit(): Promise<void> {
    for (const { flush } of this.#collected.values()) void this.#track(flush())
    // A flush sends its statement before it awaits, so the COMMIT goes out behind it, in the same wave.
    const answer = this.#send(commit)
    this.#isOver = true
    await this.#settle()
    // oxlint-disable-next-line typescript/only-throw-error -- rethrows what was thrown, unchanged
    if (this.#firstError !== undefined) throw this.#firstError
    const { command } = await answer
    if (command !== 'COMMIT') {
      throw new AppError('commit-refused', `COMMIT was answered with ${command}`, {
        retry: 'transient-everything',
      })
    }
  }

  /** For `transaction` alone. Waits for what is in flight, then rolls back; gives back the error that came first. */
  async rollback(error: unknown): Promise<unknown> {
    await this.#settle()
    // From now on nothing is sent: what another branch of the work sends late would follow the ROLLBACK, in no transaction.
    this.#firstError ??= error
    await ask(this.#client, { text: 'rollback' })
    return this.#firstError
  }

  /** The error that failed the transaction, if one did. */
  get firstError(): unknown {
    return this.#firstError
  }

  #send(sent: Sent, values: readonly unknown[] = []): ReturnType<Wave['add']> {
    if (this.#isOver) {
      throw new AppError('transaction-over', `${sent.name} comes behind the COMMIT`, {
        retry: 'permanent',
      })
    }
    this.#wave ??= this.#nextWave()
    return this.#track(this.#wave.add(sent, values))
  }

  // Not sent at once, nor behind a wave that is under way: what follows in this turn, or meanwhile, goes with it.
  #nextWave(): Wave {
    if (!this.#isUnderWay) process.nextTick(() => this.#sendWave())
    return new Wave((error) => {
      this.#isUnderWay = false
      this.#firstError ??= error
      this.#sendWave()
    })
  }

  #sendWave(): void {
    const wave = this.#wave
    if (wave === undefined) return
    this.#wave = undefined
    if (this.#firstError !== undefined) {
      // Postgres may know nothing of it, if it failed here before it was sent, and would commit.
      wave.handleError(this.#firstError)
      return
    }
    this.#isUnderWay = true
    this.#client.query(wave)
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    const tracked = promise.catch((error: unknown) => {
      this.#firstError ??= error
      throw this.#firstError
    })
    this.#pending.push(handled(tracked))
    return tracked
  }

  async #settle(): Promise<void> {
    let settled = 0
    while (settled < this.#pending.length) {
      settled = this.#pending.length
      await Promise.allSettled(this.#pending)
    }
  }
}

// Every promise gets a handler when it is issued: a rejection that nobody awaits yet would end the process.
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}

function readRows<Row>(statement: Statement<Row>, rows: unknown[]): Row[] {
  if (checkRows) for (const row of rows) checkRow(statement, row)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parser: checked above, trusted in production
  return rows as Row[]
}

function checkRow(statement: Statement, row: unknown): void {
  const reading = statement.row.safeParse(row)
  if (reading.success) return
  throw new AppError(
    'unexpected-row',
    `statement ${statement.name} returned another row than it declares: ${reading.error.message}`,
    { retry: 'permanent' },
  )
}
