import pg from 'pg'
import { serialize } from 'pg-protocol'
import type { Statement } from './statement.ts'

/** pg's connection, as far as a wave speaks to it. */
interface Wire {
  readonly stream: { readonly writable: boolean; write(bytes: Buffer): void }
  /** What is prepared on this connection, kept by pg's client: the text by the name. */
  readonly parsedStatements: Readonly<Record<string, string | undefined>>
}

/** How pg reads the rows of one statement. */
interface Answer {
  readonly command: string | null
  readonly rowCount: number | null
  readonly rows: unknown[]
  addFields(columns: readonly Column[]): void
  parseRow(values: unknown): unknown
  addRow(row: unknown): void
  addCommandComplete(message: unknown): void
}

type Column = Readonly<Record<string, unknown>>

interface Part {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- pg exports both, its types do not name them
const { Result, utils } = pg as unknown as {
  Result: new () => Answer
  utils: { prepareValue(value: unknown): unknown }
}

/** The columns that each statement was described with on a connection: none for one that returns no rows. */
const described = new WeakMap<Wire, Map<string, readonly Column[]>>()

/**
 * Several statements for one flight to Postgres and back: written in one packet, with one Sync after the last, so Postgres answers in
 * one packet as well. pg itself sends a Sync with each statement, and its pipeline mode too: then each answer is a packet that
 * wakes this process, and an order costs a quarter more CPU on a busy machine (measured).
 *
 * Postgres runs the statements in order. One that fails keeps it from running those behind it up to the Sync; all of them get its
 * error. The columns are asked for once on a connection: Postgres refuses a prepared statement whose columns have changed since.
 *
 * To pg's client a wave is one query of a class of its own, as pg-cursor's are: it hands every answer to the methods below.
 */
export class Wave implements pg.Submittable {
  /** For pg's client, which notes under them what was prepared: the statement whose answer is due. */
  name = ''
  text = ''
  /** For pg's client too, which ends its own `query_timeout` with it. */
  callback: () => void = () => undefined
  readonly #parts: Part[] = []
  readonly #onDone: (error: unknown) => void
  #columns = new Map<string, readonly Column[]>()
  #at = 0
  #answer = new Result()
  /** Why a row could not be read. */
  #unreadable: unknown
  #isDone = false

  /** `onDone` is called once, when the last statement was answered or one has failed, with the error if there was one. */
  constructor(onDone: (error: unknown) => void) {
    this.#onDone = onDone
  }

  /** Adds a statement, before the wave is sent. @throws what its values' conversion throws, or the Postgres error */
  add(
    { name, sql: text }: Pick<Statement, 'name' | 'sql'>,
    values: readonly unknown[],
  ): Promise<Pick<Answer, 'command' | 'rowCount' | 'rows'>> {
    return new Promise((resolve, reject) => {
      // Converted here: what cannot be fails alone, before anything is written.
      const converted = values.map((value) => utils.prepareValue(value))
      this.#parts.push({ name, text, values: converted, resolve, reject })
    })
  }

  readonly submit = (connection: pg.Connection): void => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the types of pg's connection are of an older one
    const wire = connection as unknown as Wire
    this.#columns = described.get(wire) ?? new Map<string, readonly Column[]>()
    described.set(wire, this.#columns)
    // In one piece: the system call takes longer over many.
    if (wire.stream.writable) wire.stream.write(Buffer.concat(this.#messages(wire)))
    this.#expect()
  }

  #messages({ parsedStatements }: Wire): Buffer[] {
    const messages: Buffer[] = []
    const parsed = new Set<string>()
    for (const { name, text, values } of this.#parts) {
      const isPrepared = parsedStatements[name] !== undefined || parsed.has(name)
      if (!isPrepared) messages.push(serialize.parse({ name, text }))
      parsed.add(name)
      messages.push(serialize.bind({ statement: name, values: [...values] }))
      if (!this.#columns.has(name)) messages.push(serialize.describe({ type: 'P' }))
      messages.push(serialize.execute())
    }
    messages.push(serialize.sync())
    return messages
  }

  /** Prepares for the answer of the statement that is next. */
  #expect(): void {
    const { name, text } = this.#parts[this.#at] ?? { name: '', text: '' }
    this.name = name
    this.text = text
    this.#answer = new Result()
    const columns = this.#columns.get(name)
    if (columns?.length) this.#answer.addFields(columns)
  }

  handleRowDescription({ fields }: { fields: readonly Column[] }): void {
    this.#columns.set(this.name, fields)
    this.#answer.addFields(fields)
  }

  // A parser that throws must not throw into pg's client, which would have lost its place: the process would end.
  handleDataRow({ fields }: { fields: unknown }): void {
    try {
      this.#answer.addRow(this.#answer.parseRow(fields))
    } catch (error) {
      this.#unreadable ??= error
      this.#parts[this.#at]?.reject(error)
    }
  }

  handleCommandComplete(message: unknown): void {
    if (!this.#columns.has(this.name)) this.#columns.set(this.name, [])
    this.#answer.addCommandComplete(message)
    this.#parts[this.#at]?.resolve(this.#answer)
    this.#at += 1
    this.#expect()
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete({ text: '' })
  }

  handleError(error: unknown): void {
    for (const part of this.#parts.slice(this.#at)) part.reject(error)
    this.#at = this.#parts.length
    this.#done(error)
  }

  handleReadyForQuery(): void {
    this.#done(this.#unreadable)
  }

  #done(error: unknown): void {
    if (this.#isDone) return
    this.#isDone = true
    this.callback()
    this.#onDone(error)
  }
}
