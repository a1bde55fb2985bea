import pg from 'pg'

/** A connection for one purpose, or a pool of one that reconnects by itself. */
export interface ConnectionOptions {
  readonly url: string
  /** Shown in pg_stat_activity. */
  readonly applicationName: string
  readonly onError: (error: Error) => void
}

const statementTimeoutMs = 15_000
/** For a server that is gone without a word: the statement time-out is the server's. */
export const answerTimeoutMs = statementTimeoutMs + 5000

// The table is nearly empty most of the time and its statistics say so at the wrong moment: without this a backlog is drained
// by sequential scans over what is dead and not yet vacuumed. A bitmap would have to be sorted.
const planning =
  '-c enable_seqscan=off -c enable_bitmapscan=off -c plan_cache_mode=force_generic_plan'

/** Connects, with plans that always use the key. Whoever closes it closes it once. */
export async function connect(
  options: ConnectionOptions,
  settings: { synchronousCommit: 'on' | 'off' },
): Promise<pg.Client> {
  const client = new pg.Client({
    ...common(options),
    options: `${planning} -c synchronous_commit=${settings.synchronousCommit}`,
  })
  client.on('error', options.onError)
  await client.connect()
  return client
}

/** A pool of one connection, for statements that are rare and must get through after a lost connection. */
export function openSingle(options: ConnectionOptions): pg.Pool {
  // pg's own limit here: it also takes the silent connection out of the pool.
  const pool = new pg.Pool({ ...common(options), query_timeout: answerTimeoutMs, max: 1 })
  pool.on('error', options.onError)
  pool.on('connect', (client) => {
    client.on('error', options.onError)
  })
  return pool
}

function common({ url, applicationName }: ConnectionOptions) {
  return {
    connectionString: url,
    application_name: applicationName,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    statement_timeout: statementTimeoutMs,
    lock_timeout: 3000,
  }
}
