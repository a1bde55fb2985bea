import { type Database, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'

/** A key of a customer. */
export interface ScopedKey {
  /** Whose key it is: the customer. */
  readonly scope: string
  readonly key: string
}

/** What was answered under a key. */
export interface StoredAnswer {
  /** Hash of the request: the same key with another one is refused. */
  readonly fingerprint: string
  /** HTTP status. */
  readonly status: number
  /** The body, as JSON reads it. */
  readonly body: unknown
}

/** A request that wants its key, with the answer that will be given if it gets it. */
export interface KeyRequest extends ScopedKey, StoredAnswer {}

const keyRow = z.object({ scope: z.string(), key: z.string() })

// Sorted, so that two groups with the same keys wait for each other instead of deadlocking. The bodies come as lines, which
// JSON cannot contain itself: an array would have every quote of them escaped.
const insertKeys = statement(
  'idempotency_key_claim',
  keyRow,
  `insert into idempotency_key (scope, key, fingerprint, status, body)
   select scope, key, fingerprint, status, body
   from unnest($1::text[], $2::text[], $3::text[], $4::smallint[],
     string_to_array($5, E'\\n')::json[])
     as r (scope, key, fingerprint, status, body)
   order by scope, key
   on conflict do nothing
   returning scope, key`,
)

const selectKeys = statement(
  'idempotency_key_read',
  keyRow.extend({ fingerprint: z.string(), status: z.int(), body: z.unknown() }),
  `select k.scope, k.key, k.fingerprint, k.status, k.body
   from unnest($1::text[], $2::text[]) as r (scope, key)
   join idempotency_key k on k.scope = r.scope and k.key = r.key`,
)

/**
 * Claims keys together with the effect of their requests: for each request, in order, whether it is the one that may act.
 * The others, also a second one of the same key within the list, are replays: their answer can be read once the
 * transaction that holds the key has committed. Waits for such a transaction, at most `lock_timeout` (55P03).
 */
export async function claimKeys(tx: Tx, requests: readonly KeyRequest[]): Promise<boolean[]> {
  if (requests.length === 0) return []
  const firsts = new Map<string, KeyRequest>()
  for (const request of requests) {
    const name = nameOf(request)
    if (!firsts.has(name)) firsts.set(name, request)
  }
  const rows = [...firsts.values()]
  const inserted = await tx.run(insertKeys, [
    rows.map((row) => row.scope),
    rows.map((row) => row.key),
    rows.map((row) => row.fingerprint),
    rows.map((row) => row.status),
    rows.map((row) => JSON.stringify(row.body)).join('\n'),
  ])
  const claimed = new Set(inserted.map(nameOf))
  return requests.map((request) => {
    const name = nameOf(request)
    return claimed.has(name) && firsts.get(name) === request
  })
}

/** The answers that were stored under keys: for each, in order, `undefined` where there is none. */
export async function readKeys(
  database: Pick<Database, 'transaction'>,
  keys: readonly ScopedKey[],
): Promise<(StoredAnswer | undefined)[]> {
  if (keys.length === 0) return []
  const rows = await database.transaction((tx) =>
    tx.run(selectKeys, [keys.map((key) => key.scope), keys.map((key) => key.key)]),
  )
  const answers = new Map(rows.map((row) => [nameOf(row), row]))
  return keys.map((key) => {
    const row = answers.get(nameOf(key))
    return row && { fingerprint: row.fingerprint, status: row.status, body: row.body }
  })
}

/** A key as one string. Neither part may contain a NUL: Postgres' text cannot either. */
function nameOf(key: ScopedKey): string {
  return `${key.scope}\0${key.key}`
}
