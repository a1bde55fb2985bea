import pg from 'pg'
import { isConnectionError } from '../errors.ts'
import type { Component } from '../lifecycle.ts'
import { Tx } from './tx.ts'

// int8 as a number: our ids and amounts stay below 2^53. Set once, for every connection of the process.
pg.types.setTypeParser(pg.types.builtins.INT8, (text) => {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`int8 ${text} is beyond 2^53 - 1`)
  return value
})

export interface DatabaseOptions {
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
  /** Connections at most; default 4. */
  poolMax?: number
  /** Told about a lost connection; the pool replaces it. */
  onConnectionError?: (error: Error) => void
  /** Waiting for a lock ends with 55P03 after this. Default 3000. */
  lockTimeoutMs?: number
  /** Default 6000. */
  statementTimeoutMs?: number
  /**
   * Default 8000: below the Kafka session time-out of 10 s, so that the transaction of a process that was stopped has
   * ended when another takes over its partitions.
   */
  transactionTimeoutMs?: number
}

/** A pool of connections on which every write transaction of a service runs. */
export interface Database {
  /**
   * Runs `work` in one transaction and commits. When it throws, everything is rolled back and the first error thrown.
   * A commit whose answer was lost is an error too: the outcome is then unknown to the caller.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /** A pool of its own for drizzle's read queries, so that they do not wait for transactions. */
  readonly reads: pg.Pool
  /** @throws when Postgres does not answer */
  ping(): Promise<void>
  end(): Promise<void>
  /** For the lifecycle, as its first: it is then the last to stop, and everything else can use it until its own end. */
  readonly component: Component
}

/** Opens a database. Connections are made when they are first needed. */
export function openDatabase(options: DatabaseOptions): Database {
  const writes = openPool(options, declaredPlans)
  const reads = openPool(options)
  const end = async (): Promise<void> => {
    if (!writes.ending) await Promise.all([writes.end(), reads.end()])
  }
  return {
    reads,
    end,
    component: { name: 'postgres', start: async () => undefined, stop: end },
    transaction: (work) => transaction(writes, work),
    ping: async () => {
      await reads.query('select 1')
    },
  }
}

// A declared statement runs by the plan that was tested. Else Postgres plans it anew each time that a batch is small: of one row the
// plan costs 70 µs, and all the rest of the statement 100 (measured). drizzle's queries have the other pool: none of them is declared.
const declaredPlans = ' -c plan_cache_mode=force_generic_plan'

function openPool(options: DatabaseOptions, settings = ''): pg.Pool {
  const transactionTimeoutMs = options.transactionTimeoutMs ?? 8000
  const pool = new pg.Pool({
    connectionString: options.url,
    application_name: options.applicationName,
    max: options.poolMax ?? 4,
    connectionTimeoutMillis: 5000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    lock_timeout: options.lockTimeoutMs ?? 3000,
    statement_timeout: options.statementTimeoutMs ?? 6000,
    idle_in_transaction_session_timeout: transactionTimeoutMs,
    options: `-c transaction_timeout=${transactionTimeoutMs}${settings}`,
  })
  // Without a handler on the pool and on every client, a failover would end the process.
  const onError = options.onConnectionError ?? (() => undefined)
  pool.on('error', onError)
  pool.on('connect', (client) => {
    client.on('error', onError)
  })
  return pool
}

async function transaction<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect()
  const tx = new Tx(client)
  try {
    tx.begin()
    const result = await work(tx)
    await tx.commit()
    client.release()
    return result
  } catch (error) {
    const first = await rollback(client, tx, error)
    throw first
  }
}

// A connection whose rollback failed, or that was lost, is not given back to the pool.
async function rollback(client: pg.PoolClient, tx: Tx, error: unknown): Promise<unknown> {
  try {
    const first = await tx.rollback(error)
    client.release(isConnectionError(first))
    return first
  } catch {
    client.release(true)
    return tx.firstError ?? error
  }
}
