import type { ComposedMessage, Transport } from '@edp/event-schemas'
import { faultPoint, type Logger } from '@edp/runtime'
import { composeDeadLetter, type Doomed, isDeadLetter } from './dead-letter.ts'
import { buryRows, holdRows, readDoomed, readKeys, releaseRows } from './dead-statements.ts'
import type { HaltedKey } from './halts.ts'
import type { Lease } from './lease.ts'
import type { DrainMetrics } from './metrics.ts'
import type { OutboxTable } from './outbox-table.ts'
import type { DeadRow, FetchedRow } from './window.ts'

/**
 * What becomes of a key, at one destination, when a row of it can never be published. `halt`: nothing of the key is published
 * until a person has put the row back or given it up, so its order holds. `skip`: the key goes on without it.
 */
export type DeadRowPolicy = 'halt' | 'skip'

/** What `DeadRows` needs. */
export interface DeadRowsOptions {
  /** Commits before it answers: what is dead stays dead when Postgres crashes. */
  readonly table: OutboxTable
  readonly lease: Lease
  readonly policyOf: (destination: string) => DeadRowPolicy
  readonly database: string
  readonly transport: Transport
  readonly namespace: string
  readonly metrics: DrainMetrics
  readonly logger: Logger
}

/** What a move did: `undefined` when the lease is no longer what we think it is, and nothing was moved. */
export type Moved = { readonly ids: ReadonlySet<number>; readonly xid: number } | undefined

/**
 * Moves rows from the outbox to the dead ones, for the owner of the lease. Every statement works only in the epoch in which the
 * keys that stand still were loaded: nothing is moved behind a row that has been put back meanwhile.
 */
export class DeadRows {
  readonly #options: DeadRowsOptions
  #epoch: number | undefined

  constructor(options: DeadRowsOptions) {
    this.#options = options
  }

  /** Whether the keys that stand still are those that were loaded. */
  get isCurrent(): boolean {
    return this.#epoch === this.#options.lease.epoch
  }

  /** Whether a dead row stops its key. */
  halts(row: FetchedRow): boolean {
    return this.#options.policyOf(row.destination) === 'halt'
  }

  /** The keys that stand still. What waits for nothing, since the policy has changed, is brought back to the outbox. */
  async load(): Promise<HaltedKey[]> {
    const { table, lease, policyOf, transport, logger } = this.#options
    this.#epoch = lease.epoch
    const halted: HaltedKey[] = []
    for (const { destination, key, dead_from: from, waits } of await table.run(readKeys, [
      transport,
    ])) {
      if (from !== null && policyOf(destination) === 'halt') {
        halted.push({ destination, key, from })
      } else if (waits) {
        const values = [transport, ...this.#fence, destination, key, true]
        const [released] = await table.run(releaseRows, values)
        logger.info({ destination, key, rows: released?.rows }, 'the key does not wait any more')
      }
    }
    return halted
  }

  /** Moves rows that can never be published, and enqueues their dead letters, in one statement. */
  async bury(dead: readonly DeadRow[]): Promise<Moved> {
    const { table, transport, metrics, logger } = this.#options
    const doomed = await this.#readDoomed(dead)
    const letters = doomed.flatMap((one) => this.#letterOf(one))
    await faultPoint('relay.before-bury')
    const [result] = await table.run(buryRows, [
      transport,
      ...this.#fence,
      doomed.map(({ row }) => row.id),
      doomed.map(({ error }) => error.code),
      doomed.map(({ error }) => error.message),
      letters.map(({ id }) => id),
      ...columnsOf(letters.map(({ letter }) => letter)),
    ])
    await faultPoint('relay.after-bury')
    if (result === undefined || result.fenced === 0) return undefined
    const ids = new Set(result.ids)
    for (const { row, type, messageId, error } of doomed.filter((one) => ids.has(one.row.id))) {
      const { id, destination, key } = row
      const policy = this.#options.policyOf(destination)
      logger.error(
        { err: error, id, messageId, type, destination, key, policy },
        'a row can never be published: it is dead',
      )
      metrics.died(destination, error.code)
    }
    return { ids, xid: result.xid }
  }

  /** Moves rows of keys that stand still behind their dead ones. */
  async hold(rows: readonly FetchedRow[]): Promise<Moved> {
    const { table, transport } = this.#options
    const values = [transport, ...this.#fence, rows.map((row) => row.id)]
    const [result] = await table.run(holdRows, values)
    if (result === undefined || result.fenced === 0) return undefined
    return { ids: new Set(result.ids), xid: result.xid }
  }

  get #fence(): readonly [owner: string, epoch: number] {
    return [this.#options.lease.owner, this.#epoch ?? 0]
  }

  async #readDoomed(dead: readonly DeadRow[]): Promise<Doomed[]> {
    const { table, transport } = this.#options
    const rows = await table.run(readDoomed, [transport, dead.map(({ row }) => row.id)])
    const byId = new Map(rows.map((row) => [row.id, row]))
    return dead.flatMap(({ row, error }) => {
      const stored = byId.get(row.id)
      return stored ? [{ row, error, messageId: stored.message_id, type: stored.type }] : []
    })
  }

  #letterOf(doomed: Doomed): { id: number; letter: ComposedMessage }[] {
    const { database, transport, namespace, metrics, logger } = this.#options
    const { row, messageId, type } = doomed
    const fields = { id: row.id, messageId, type, destination: row.destination }
    if (isDeadLetter(type)) {
      // One about it would die in the same way, and so on for ever.
      metrics.deadWithoutLetter.inc()
      logger.error(fields, 'a dead letter can never be published: no letter tells of it')
      return []
    }
    try {
      const place = { database, transport, namespace, now: new Date() }
      return [{ id: row.id, letter: composeDeadLetter(doomed, place) }]
    } catch (error) {
      // Whatever is wrong with it, the row must not stop the others.
      metrics.deadWithoutLetter.inc()
      logger.error({ ...fields, err: error }, 'a dead row makes no letter: no letter tells of it')
      return []
    }
  }
}

function columnsOf(letters: readonly ComposedMessage[]): unknown[] {
  return [
    letters.map((letter) => letter.id),
    letters.map((letter) => letter.destination),
    letters.map((letter) => letter.key),
    letters.map((letter) => letter.type),
    letters.map((letter) => letter.payload),
    letters.map((letter) => JSON.stringify(letter.headers)),
  ]
}
