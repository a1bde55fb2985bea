import { setImmediate } from 'node:timers/promises'
import { headerPrefix, type Transport } from '@edp/event-schemas'
import { ask, type Statement } from '@edp/runtime'
import type pg from 'pg'
import { z } from 'zod'
import { answerTimeoutMs } from './connection.ts'
import { sampleDead } from './dead-statements.ts'
import type { Gap } from './position.ts'
import {
  deleteRows,
  fetchNew,
  fetchPaused,
  fetchWithGaps,
  newXid,
  sampleBacklog,
  scanFromZero,
} from './statements.ts'
import type { FetchedRow } from './window.ts'

/** What a fetch brought. */
export interface Fetched {
  /** Every transaction with a lower xid had ended when these rows were read. */
  readonly xmin: number
  /** In ascending order: those from the gaps, then those above the cursor. */
  readonly rows: FetchedRow[]
  /** How long the first of those above the cursor had been there, by the database's clock; 0 when there is none. */
  readonly oldestSeconds: number
}

/** What a fetch reads. */
export interface FetchRequest {
  readonly cursor: number
  readonly rowsMax: number
  readonly gaps: readonly Gap[]
  /** How many rows of gaps are read at most; with as many, there may be more. */
  readonly gapRowsMax: number
  readonly paused: readonly string[]
}

/** What is dead, at one moment. */
export interface DeadSample {
  readonly dead: number
  readonly waiting: number
  readonly oldestSeconds: number
}

const nextTurn = () => setImmediate()
const asText = { getTypeParser: () => (text: string) => text }

/**
 * The outbox of one transport, over one connection. Its statements run one after the other, and whoever asked first has dealt
 * with the answer before the next statement is sent: what a later fetch lets `InFlight` forget, an earlier answer still finds.
 */
export class OutboxTable {
  readonly #client: pg.Client | pg.Pool
  readonly #transport: Transport
  readonly #names: HeaderNames
  #turn: Promise<unknown> = Promise.resolve()

  constructor(client: pg.Client | pg.Pool, transport: Transport) {
    const prefix = headerPrefix[transport]
    this.#client = client
    this.#transport = transport
    this.#names = { id: `${prefix}id`, type: `${prefix}type` }
  }

  fetch(request: FetchRequest): Promise<Fetched> {
    const { cursor, rowsMax, gaps, gapRowsMax, paused } = request
    const values = [this.#transport, cursor, rowsMax]
    if (gaps.length === 0) return this.#fetchRows(fetchNew, values)
    const lows = arrayText(gaps.map((gap) => gap.low))
    const highs = arrayText(gaps.map((gap) => gap.high))
    return this.#fetchRows(fetchWithGaps, [...values, lows, highs, paused, gapRowsMax])
  }

  /** The first rows of a destination from an id on. */
  async fetchPaused(destination: string, from: number, limit: number): Promise<FetchedRow[]> {
    const values = [this.#transport, from - 1, destination, limit]
    const { rows } = await this.#fetchRows(fetchPaused, values)
    return rows
  }

  /** Deletes rows; gives the xid of the transaction that did it. */
  async delete(ids: readonly number[]): Promise<number> {
    const [row] = await this.run(deleteRows, [this.#transport, arrayText(ids)])
    return xidOf(row)
  }

  async newXid(): Promise<number> {
    const [row] = await this.run(newXid, [])
    return xidOf(row)
  }

  /** The lowest ids that are there, up to the cursor. */
  async scan(cursor: number, paused: readonly string[], limit: number): Promise<number[]> {
    const rows = await this.run(scanFromZero, [this.#transport, cursor, paused, limit])
    return rows.map((row) => row.id)
  }

  /** How many rows are dead and wait behind them, counted up to a bound, and for how long the oldest has been dead. */
  async sampleDead(rowsMax: number): Promise<DeadSample> {
    const [row] = await this.run(sampleDead, [this.#transport, rowsMax])
    const { dead = 0, waiting = 0, oldest_seconds: oldestSeconds } = row ?? {}
    return { dead, waiting, oldestSeconds: oldestSeconds ?? 0 }
  }

  async sample(rowsMax: number): Promise<{ oldestSeconds: number; rows: number }> {
    const [row] = await this.run(sampleBacklog, [this.#transport, rowsMax])
    return { oldestSeconds: row?.oldest_seconds ?? 0, rows: row?.rows ?? 0 }
  }

  /** Runs a statement in turn. */
  async run<Row>(statement: Statement<Row>, values: readonly unknown[]): Promise<Row[]> {
    const query = { name: statement.name, text: statement.sql, values: [...values] }
    const { rows } = await this.#inTurn(() => ask(this.#client, query, answerTimeoutMs))
    return z.array(statement.row).parse(rows)
  }

  async #fetchRows(
    statement: Statement<(string | null)[]>,
    values: readonly unknown[],
  ): Promise<Fetched> {
    // As arrays of text: an object for each row, and a parser for each column, cost more than all else here.
    const query = {
      name: statement.name,
      text: statement.sql,
      values: [...values],
      rowMode: 'array' as const,
      types: asText,
    }
    const result = await this.#inTurn(() =>
      ask<(string | null)[]>(this.#client, query, answerTimeoutMs),
    )
    const [snapshot] = result.rows
    const rows: FetchedRow[] = []
    for (let index = 1; index < result.rows.length; index += 1) {
      rows.push(new StoredRow(result.rows[index] ?? [], this.#names))
    }
    return { xmin: Number(snapshot?.[5]), rows, oldestSeconds: Number(snapshot?.[6] ?? 0) }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    // One more turn of the event loop, in which the asker gets its answer.
    this.#turn = mine.then(nextTurn, nextTurn)
    return mine
  }
}

/** The headers that say what a message is. */
interface HeaderNames {
  readonly id: string
  readonly type: string
}

/** A row as it was read. Its headers are parsed only for whom they are of use: that costs as much as reading all the rest. */
class StoredRow implements FetchedRow {
  readonly id: number
  readonly destination: string
  readonly key: string
  readonly payload: string
  readonly headersJson: string
  readonly bytes: number
  readonly #names: HeaderNames
  #headers: Readonly<Record<string, string>> | undefined

  constructor(columns: (string | null)[], names: HeaderNames) {
    const [id, destination, key, payload, headers] = columns
    this.id = Number(id)
    this.destination = destination ?? ''
    this.key = key ?? ''
    this.payload = payload ?? ''
    this.headersJson = headers ?? '{}'
    this.bytes = Buffer.byteLength(this.payload) + this.headersJson.length + this.key.length
    this.#names = names
  }

  /** @throws Error when they are no object, which whoever sends them takes for a row that cannot be encoded */
  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= parseHeaders(this.headersJson)
    if (this.#headers === noHeaders) throw new Error('the headers are no object')
    return this.#headers
  }

  get messageId(): string {
    return this.#header(this.#names.id)
  }

  get type(): string {
    return this.#header(this.#names.type)
  }

  #header(name: string): string {
    this.#headers ??= parseHeaders(this.headersJson)
    return this.#headers[name] ?? ''
  }
}

const noHeaders: Readonly<Record<string, string>> = {}

function parseHeaders(json: string): Readonly<Record<string, string>> {
  const value: unknown = JSON.parse(json)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return noHeaders
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by `enqueue` alone; if not, its broker's client refuses them
  return value as Record<string, string>
}

function xidOf(row: { xid: number } | undefined): number {
  if (row === undefined) throw new Error('Postgres gave no xid')
  return row.xid
}

/** An array as Postgres reads it; pg would quote every number. */
function arrayText(numbers: readonly number[]): string {
  return `{${numbers.join(',')}}`
}
