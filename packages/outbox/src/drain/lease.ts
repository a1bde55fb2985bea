import type { Statement } from '@edp/runtime'
import type pg from 'pg'
import { z } from 'zod'
import { acquireLease, readLease, releaseLease, renewLease } from './statements.ts'

/** Bounds of a lease. */
export interface LeaseBounds {
  /** How long it lasts without being renewed. It is renewed at a third of that. */
  readonly leaseMs: number
  /** How much earlier than the database its owner takes it for expired. */
  readonly marginMs: number
}

/**
 * The right to drain one transport of a database. The row says who has it and until when by the database's clock; its owner
 * reckons on its own monotonic clock from before it asked, less a margin, so it stops before another may begin. (A session
 * advisory lock would break behind a connection pooler.)
 *
 * It keeps two relays from sending everything twice. The order of a key does not hang on it: an owner that was stopped
 * in the middle of a send repeats rows that the next one sends as well, all in their order.
 */
export class Lease {
  readonly #pool: pg.Pool
  readonly #transport: string
  readonly #owner: string
  readonly #bounds: LeaseBounds
  #epoch: number | undefined
  #validUntilMs = 0

  constructor(options: { pool: pg.Pool; transport: string; owner: string; bounds: LeaseBounds }) {
    this.#pool = options.pool
    this.#transport = options.transport
    this.#owner = options.owner
    this.#bounds = options.bounds
  }

  /**
   * Changes when it was taken anew, and when somebody put rows back: whoever has it then has to look again at what it knows by
   * heart. Undefined without a lease.
   */
  get epoch(): number | undefined {
    return this.#epoch
  }

  get owner(): string {
    return this.#owner
  }

  /** Whether we have it at this very moment. */
  get valid(): boolean {
    return this.#epoch !== undefined && performance.now() < this.#validUntilMs
  }

  /** Tries to get it; gives false when somebody else has it. */
  async acquire(): Promise<boolean> {
    const taken = await this.#run(readLease, [this.#transport, this.#owner])
    if (taken.length > 0) return false
    const { leaseMs } = this.#bounds
    const askedMs = performance.now()
    const [row] = await this.#run(acquireLease, [this.#transport, this.#owner, leaseMs])
    if (row === undefined) return false
    this.#epoch = row.epoch
    this.#extend(askedMs)
    return true
  }

  /** Keeps it, and learns of a raised epoch; gives false when it has become somebody else's. */
  async renew(): Promise<boolean> {
    const askedMs = performance.now()
    const { leaseMs } = this.#bounds
    const [row] = await this.#run(renewLease, [this.#transport, this.#owner, leaseMs])
    this.#epoch = row?.epoch
    if (row !== undefined) this.#extend(askedMs)
    return row !== undefined
  }

  /** Gives it back, if we have it. */
  async release(): Promise<void> {
    if (this.#epoch === undefined) return
    this.#epoch = undefined
    await this.#run(releaseLease, [this.#transport, this.#owner])
  }

  #extend(askedMs: number): void {
    this.#validUntilMs = askedMs + this.#bounds.leaseMs - this.#bounds.marginMs
  }

  async #run<Row>(statement: Statement<Row>, values: unknown[]): Promise<Row[]> {
    const { rows } = await this.#pool.query({ name: statement.name, text: statement.sql, values })
    return z.array(statement.row).parse(rows)
  }
}
