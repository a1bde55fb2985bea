import { randomUUID } from 'node:crypto'
import {
  addressedTo,
  type ComposedMessage,
  messageDiscardV1,
  messageRedriveV1,
  outgoing,
} from '@edp/event-schemas'
import { callAtFirstPass, enableFaultPoints } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { jobsConsumer } from '../src/jobs/job-letter.ts'
import {
  confirmed,
  createWorld,
  message,
  newOrderId,
  type Sent,
  type Work,
  type World,
} from './world.ts'

let world: World
let work: Work
let orderId: string
let customer: string

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  orderId = newOrderId()
  customer = randomUUID()
  work = await start()
})
afterEach(async () => {
  enableFaultPoints(undefined)
  await world.stopWork()
  await world.emptyRedis()
})

/** With a lock that a busy machine does not let run out: a job that has stalled is tried once more, and fails otherwise or not at all. */
const start = (overrides: Record<string, string> = {}): Promise<Work> =>
  world.startWork({ JOB_LOCK_MS: '30000', ...overrides })

const untilSaid = (id: unknown, count: number): Promise<Sent[]> =>
  waitFor(() => world.said(String(id)), {
    message: `${count} facts of the letter`,
    until: (said) => said.length >= count,
  })

function redrive(messageId: unknown, redriveId: string): ComposedMessage {
  const body = { consumer: jobsConsumer, messageId: String(messageId), redriveId, by: 'ada' }
  const contract = addressedTo(messageRedriveV1, 'notification-service')
  return message(outgoing(contract, orderId, { ...body, body: null, message: null }), 'dlq-alerter')
}

function discard(messageId: unknown): ComposedMessage {
  const body = { consumer: jobsConsumer, messageId: String(messageId), by: 'ada', why: 'gone' }
  const contract = addressedTo(messageDiscardV1, 'notification-service')
  return message(outgoing(contract, orderId, body), 'dlq-alerter')
}

const repair = (): Promise<Response> =>
  world.sandbox(`/addresses/${encodeURIComponent(`${customer}@customers.example`)}/repair`, 'POST')

test('an address that is refused for good is a dead letter after one attempt, and holds nobody up', async () => {
  customer = `refused-${customer}`
  const other = newOrderId()
  await work.deliver(confirmed(orderId, customer), confirmed(other))
  await world.untilRow(other, 'confirmation', 'sent')
  const row = await world.untilRow(orderId, 'confirmation', 'dead')
  expect(row).toMatchObject({ attempts: 1, error_code: 'smtp-550', is_dead_lettered: true })
  expect(await untilSaid(row['id'], 1)).toMatchObject([
    {
      type: 'message.dead-lettered.v1',
      body: {
        consumer: jobsConsumer,
        messageId: row['id'],
        type: 'send-confirmation',
        key: orderId,
        reason: 'permanent',
        attempts: 1,
        error: { code: 'smtp-550' },
      },
    },
  ])
  // The row says that it is dead before the job has failed, and no jobs are an answer too.
  const failed = await waitFor(() => world.queue.getFailed(), {
    message: 'the job has failed',
    until: (jobs) => jobs.length > 0,
  })
  expect(failed).toMatchObject([{ id: row['id'], attemptsMade: 1 }])
})

test('one that is refused for now is tried with backoff, and is a dead letter when its attempts are used up', async () => {
  customer = `busy-${customer}`
  await work.deliver(confirmed(orderId, customer))
  const row = await world.untilRow(orderId, 'confirmation', 'dead')
  expect(await untilSaid(row['id'], 1)).toMatchObject([
    { body: { reason: 'attempts-exhausted', attempts: 3, error: { code: 'smtp-450' } } },
  ])
})

test('a redrive sends it, and its letter is resolved in the transaction that marks it', async () => {
  customer = `busy-${customer}`
  await work.deliver(confirmed(orderId, customer))
  const { id } = await world.untilRow(orderId, 'confirmation', 'dead')
  const [first, second] = [randomUUID(), randomUUID()]
  await work.command(redrive(id, first))
  expect((await untilSaid(id, 2))[1]).toMatchObject({
    type: 'message.dead-lettered.v1',
    body: { redriveId: first, attempts: 3 },
  })
  await repair()
  await work.command(redrive(id, second))
  expect((await untilSaid(id, 3))[2]).toMatchObject({
    type: 'message.resolved.v1',
    body: { outcome: 'applied', redriveId: second },
  })
  await world.untilRow(orderId, 'confirmation', 'sent')
  expect(await world.mails(orderId)).toHaveLength(1)
  await waitFor(() => world.queue.getFailedCount(), {
    message: 'no failed job is left',
    until: (count) => count === 0,
  })
  await work.command(redrive(id, randomUUID()))
  expect((await untilSaid(id, 4))[3]?.body).toMatchObject({ outcome: 'already-applied' })
})

test('a redrive of one that is being sent leaves it to who sends it', async () => {
  // For as long as the test needs.
  const [begun, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  enableFaultPoints(
    callAtFirstPass('job.answered', () => {
      begun.resolve()
      return over.promise
    }),
  )
  let id: unknown
  const redriveId = randomUUID()
  try {
    await work.deliver(confirmed(orderId, customer))
    await begun.promise
    const leased = await world.row(orderId, 'confirmation')
    expect(leased).toMatchObject({ lease_owner: expect.any(String) })
    id = leased?.['id']
    await world.db.query('update notifications set is_dead_lettered = true where id = $1', [id])
    await work.command(redrive(id, redriveId))
    expect(await world.row(orderId, 'confirmation')).toMatchObject({
      lease_owner: leased?.['lease_owner'],
      redrive_id: redriveId,
    })
  } finally {
    over.resolve()
  }
  await world.untilRow(orderId, 'confirmation', 'sent')
  expect(await world.mails(orderId)).toHaveLength(1)
  expect(await untilSaid(id, 1)).toMatchObject([{ body: { outcome: 'applied', redriveId } }])
})

test('one that is discarded is sent to nobody, and leaves the failed jobs', async () => {
  customer = `refused-${customer}`
  await work.deliver(confirmed(orderId, customer))
  const { id } = await world.untilRow(orderId, 'confirmation', 'dead')
  await work.command(discard(id))
  expect((await untilSaid(id, 2))[1]?.body).toMatchObject({ outcome: 'discarded' })
  await world.untilRow(orderId, 'confirmation', 'cancelled')
  await waitFor(() => world.queue.getJobState(String(id)), {
    message: 'its job is gone',
    until: (state) => state === 'unknown',
  })
})

test('a failed job whose events nobody heard becomes a dead letter by comparison', async () => {
  await work.stop()
  // The job of a row that was used up while no process was there to hear of it.
  customer = `busy-${customer}`
  work = await start({ JOB_ATTEMPTS_MAX: '1' })
  await work.deliver(confirmed(orderId, customer))
  const { id } = await world.untilRow(orderId, 'confirmation', 'dead')
  await work.stop()
  await world.db.query(
    `update notifications set status = 'pending', is_dead_lettered = false where id = $1`,
    [id],
  )
  await world.db.query('delete from outbox')
  await world.redis.del(`${world.namespace}:notifications:events`)
  work = await start({ RECONCILE_AFTER_MS: '3600000' })
  await world.untilRow(orderId, 'confirmation', 'dead')
  expect(await untilSaid(id, 1)).toMatchObject([{ body: { reason: 'attempts-exhausted' } }])
})

test('a digest whose planner fails for good is a dead letter, and is counted and sent when it is redriven', async () => {
  await work.stop()
  // Its rows cannot be written, so no process can plan it.
  await world.db.query(
    `alter table notifications add constraint unplannable check (kind <> 'digest' or status <> 'pending')`,
  )
  work = await start({ DIGEST_INTERVAL_MS: '2000', DIGEST_OFFSET_MS: '1' })
  await work.deliver(confirmed(orderId))
  const { created_at: confirmedAt } = await world.untilRow(orderId, 'confirmation', 'sent')
  const [digest] = await waitFor(
    () =>
      world.db.query(`select * from notifications where kind = 'digest' and due_at > $1`, [
        confirmedAt,
      ]),
    { message: 'a digest is dead', until: (rows) => rows.length > 0 },
  )
  expect(digest).toMatchObject({ status: 'dead', is_dead_lettered: true, error_code: 'job-failed' })
  const id = digest?.['id']
  expect(await untilSaid(id, 1)).toMatchObject([
    { body: { type: 'send-digest', reason: 'attempts-exhausted', error: { code: 'job-failed' } } },
  ])
  await world.db.query('alter table notifications drop constraint unplannable')
  // It is in the digest's interval, whichever that was.
  await world.db.query(
    `update notifications set created_at = $2::timestamptz - interval '1 second' where order_id = $1`,
    [orderId, digest?.['due_at']],
  )
  const redriveId = randomUUID()
  await work.command(redrive(id, redriveId))
  expect((await untilSaid(id, 2))[1]?.body).toMatchObject({ outcome: 'applied', redriveId })
  const [sent] = await world.db.query('select * from notifications where id = $1', [id])
  expect(sent).toMatchObject({ status: 'sent' })
  expect(JSON.stringify(sent?.['content'])).toContain('"kind":"confirmation"')
  const mails = (await world.mails()).filter(({ notificationId }) => notificationId === id)
  expect(mails).toHaveLength(1)
})
