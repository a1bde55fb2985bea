import { type Database, openDatabase, sqlState } from '@edp/runtime'
import { patient, templateDatabase, type TestDatabase, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { claimKeys, type KeyRequest, readKeys } from '../src/index.ts'
import { schemaSql } from './fixtures/schema.ts'

let db: TestDatabase
let database: Database
let impatient: Database

beforeAll(async () => {
  db = await templateDatabase({ role: 'keeper_service', migrations: { sql: schemaSql } })
  const [url, applicationName] = [db.serviceUrl, 'keys-test']
  database = openDatabase({ url, applicationName, ...patient })
  impatient = openDatabase({ url, applicationName, ...patient, lockTimeoutMs: 100 })
})
beforeEach(async () => {
  await db.query('truncate idempotency_key')
})
afterAll(async () => {
  await impatient.end()
  await database.end()
  await db.drop()
})

function request(key: string, change: Partial<KeyRequest> = {}): KeyRequest {
  return {
    scope: 'customer-1',
    key,
    fingerprint: `of ${key}`,
    status: 202,
    body: { key },
    ...change,
  }
}

function claim(requests: readonly KeyRequest[], by = database): Promise<boolean[]> {
  return by.transaction((tx) => claimKeys(tx, requests))
}

test('the first request of a key acts; the others are replays, within a group and later', async () => {
  const requests = [
    request('a'),
    request('b'),
    request('a', { fingerprint: 'other' }),
    request('c'),
  ]
  expect(await claim(requests)).toEqual([true, true, false, true])
  expect(await claim([request('d'), request('a')])).toEqual([true, false])
  expect(await claim([])).toEqual([])
})

test('a replay gets what was stored by the request that acted', async () => {
  const body = { orderId: '1', lines: [{ sku: 'cup ☕', quantity: 1 }], cancelReason: null }
  await claim([request('a', { body, status: 201 }), request('a', { body: 'of the replay' })])
  const keys = [{ scope: 'customer-1', key: 'unknown' }, request('a'), request('a')]
  const answer = { fingerprint: 'of a', status: 201, body }
  expect(await readKeys(database, keys)).toEqual([undefined, answer, answer])
  expect(await readKeys(database, [])).toEqual([])
})

test('keys of two customers have nothing to do with each other', async () => {
  const other = request('a', { scope: 'customer-2', body: 'of customer 2' })
  expect(await claim([request('a'), other])).toEqual([true, true])
  const [answer] = await readKeys(database, [other])
  expect(answer?.body).toBe('of customer 2')
})

test('a request whose transaction rolls back leaves its key free', async () => {
  const refused = database.transaction(async (tx) => {
    await claimKeys(tx, [request('a')])
    throw new Error('refused')
  })
  await expect(refused).rejects.toThrow('refused')
  expect(await readKeys(database, [request('a')])).toEqual([undefined])
  expect(await claim([request('a')])).toEqual([true])
})

test('a parallel copy waits for the first and is its replay', async () => {
  const { claimed, end, holder } = hold('a')
  await claimed
  const copy = claim([request('a')])
  // In this database: other tests wait for locks of the same server.
  await waitFor(
    () =>
      db.query(`select from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and a.datname = current_database()`),
    { until: (rows) => rows.length > 0, message: 'the copy waits' },
  )
  end()
  await holder
  expect(await copy).toEqual([false])
})

test('a copy that waits too long gets 55P03, for a 409', async () => {
  const { claimed, end, holder } = hold('a')
  await claimed
  const error: unknown = await claim([request('a')], impatient).catch((reason: unknown) => reason)
  expect(sqlState(error)).toBe('55P03')
  end()
  await holder
})

test('groups with the same keys in other orders never deadlock, and each key acts once', async () => {
  const requests = Array.from({ length: 60 }, (_, n) => request(`key-${n}`))
  const claims = Array.from({ length: 10 }, (_, n) =>
    claim(n % 2 === 0 ? requests : requests.toReversed()),
  )
  const winners = (await Promise.all(claims)).flat().filter(Boolean)
  expect(winners).toHaveLength(60)
})

/** A transaction that has claimed a key and is still open. */
function hold(key: string): { claimed: Promise<void>; end: () => void; holder: Promise<void> } {
  const claimed = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const holder = database.transaction(async (tx) => {
    await claimKeys(tx, [request(key)])
    claimed.resolve()
    await ended.promise
  })
  return { claimed: claimed.promise, end: ended.resolve, holder }
}
