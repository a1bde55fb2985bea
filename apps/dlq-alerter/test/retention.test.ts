import { createLogger } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createRetention } from '../src/retention.ts'
import { type Alerter, openAlerter } from './alerter.ts'
import { deadBody, died, resolved } from './given.ts'

const retentionDays = 90
const dayMs = 24 * 60 * 60 * 1000
const logger = createLogger('retention-test', 'silent')

let alerter: Alerter
let stop: (() => Promise<void>) | undefined
beforeAll(async () => {
  alerter = await openAlerter({ redrives: false })
})
afterEach(async () => {
  await stop?.()
  await alerter.postgres.query(
    `with l as (delete from letters), t as (delete from letter_texts), n as (delete from letter_notes),
       a as (delete from audit_entries), e as (delete from early_resolutions), r as (delete from redrives),
       rl as (delete from redrive_letters)
     delete from letter_groups`,
  )
})
afterAll(() => alerter.close())

/** Runs the removal as it would run so many days from now. */
async function runIn(days: number): Promise<void> {
  const now = () => new Date(Date.now() + days * dayMs)
  const retention = createRetention({ database: alerter.database, logger, retentionDays, now })
  stop = () => retention.stop()
  await retention.start()
}

async function count(table: string): Promise<number> {
  const [row] = await alerter.postgres.query(`select count(*)::int as rows from ${table}`)
  return Number(row?.['rows'])
}

async function letterOf(messageId: string): Promise<string> {
  const text = 'select letter_id from letters where message_id = $1'
  const [row] = await alerter.postgres.query(text, [messageId])
  return `/letters/${String(row?.['letter_id'])}`
}

/** A redrive of one letter that has begun and sent nothing yet. */
async function redriveOf(messageId: string): Promise<string> {
  const letter = await letterOf(messageId)
  const { status, body } = await alerter.request('POST', `${letter}/redrive`, {
    by: 'ada',
    why: 'mended',
  })
  expect(status).toBe(202)
  return String(body.redriveId)
}

test('what ended is removed when it is old enough, in batches, with all that hangs on it; what is open stays', async () => {
  const ended = Array.from({ length: 1200 }, () => deadBody())
  const [open, archived] = [deadBody(), deadBody()]
  await alerter.take([...ended, open, archived].map((body) => died(body)))
  await alerter.take(ended.map((body) => resolved(body)))
  // Of a letter that never came.
  await alerter.take([resolved(deadBody())])
  const letter = await letterOf(archived.messageId)
  await alerter.request('POST', `${letter}/notes`, { by: 'ada', text: 'not worth it' })
  await alerter.request('POST', `${letter}/archive`, { by: 'ada', why: 'not worth it' })
  expect(await count('audit_entries')).toBeGreaterThan(1200)
  await runIn(retentionDays + 1)
  for (const table of ['letter_notes', 'audit_entries', 'early_resolutions']) {
    await waitFor(() => count(table), { message: table, until: (rows) => rows === 0 })
  }
  const left = await alerter.postgres.query('select message_id, status from letters')
  expect(left).toEqual([{ message_id: open.messageId, status: 'open' }])
  expect(await count('letter_texts')).toBe(1)
  expect(await alerter.countsThatDiffer()).toEqual([])
})

test('what ended lately, or goes on, is kept', async () => {
  const [done, other] = [deadBody(), deadBody()]
  await alerter.take([died(done), died(other), resolved(done)])
  await redriveOf(other.messageId)
  const tables = ['letters', 'letter_texts', 'letter_groups', 'audit_entries', 'redrives']
  const before = await Promise.all(tables.map(count))
  expect(before).not.toContain(0)
  await runIn(retentionDays - 1)
  await stop?.()
  expect(await Promise.all(tables.map(count))).toEqual(before)
  // The redrive runs, so it stays with its letter; the record of its beginning does not.
  await runIn(retentionDays + 1)
  await waitFor(() => count('audit_entries'), { message: 'audit', until: (rows) => rows === 0 })
  expect(await count('redrives')).toBe(1)
  expect(await count('letters')).toBe(1)
})

test('a redrive that has ended goes with what became of its letters, and a group when its last letter has gone', async () => {
  const body = deadBody({ fingerprint: 'of its own' })
  await alerter.take([died(body)])
  const redriveId = await redriveOf(body.messageId)
  const cancelled = await alerter.request('POST', `/redrives/${redriveId}/cancel`, { by: 'ada' })
  expect(cancelled.body).toMatchObject({ state: 'cancelled' })
  await alerter.request('POST', `${await letterOf(body.messageId)}/archive`, {
    by: 'ada',
    why: 'no',
  })
  expect(await count('redrive_letters')).toBe(1)
  await runIn(retentionDays + 1)
  for (const table of ['redrives', 'redrive_letters', 'letters', 'letter_groups']) {
    await waitFor(() => count(table), { message: table, until: (rows) => rows === 0 })
  }
})
