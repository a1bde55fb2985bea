import { randomUUID } from 'node:crypto'
import { waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cancelled, confirmed, createWorld, newOrderId, type Work, type World } from './world.ts'

let world: World
let orderId: string

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(() => {
  orderId = newOrderId()
})
afterEach(async () => {
  await world.stopWork()
  await world.emptyRedis()
})

describe('an order', () => {
  let work: Work
  beforeEach(async () => {
    work = await world.startWork()
  })

  test('that is confirmed is told to its customer, once, with the notification in a header', async () => {
    const fact = confirmed(orderId)
    await work.deliver(fact)
    await work.deliver(fact, confirmed(orderId))
    const { id } = await world.untilRow(orderId, 'confirmation', 'sent')
    // The row says it is sent before the job has ended, and no jobs are an answer too.
    const [job] = await waitFor(() => world.queue.getCompleted(), {
      message: 'the job is done',
      until: (jobs) => jobs.length > 0,
    })
    expect(job).toMatchObject({ id, name: 'send-confirmation', returnvalue: { outcome: 'sent' } })
    expect(await world.mails(orderId)).toMatchObject([
      {
        to: ['ada@customers.example'],
        subject: `Your order ${orderId} is confirmed`,
        notificationId: id,
      },
    ])
    // On a busy machine a look at Redis may have just been too slow, and the next one says that all is well.
    await waitFor(work.problems, { message: 'it is well', until: (all) => all.length === 0 })
  })

  test('that is cancelled is told, and its review request is taken out of Redis', async () => {
    await work.deliver(confirmed(orderId))
    await world.untilRow(orderId, 'confirmation', 'sent')
    const review = await world.row(orderId, 'review-request')
    const job = () => world.queue.getJobState(String(review?.['id']))
    await waitFor(job, { message: 'its job waits', until: (state) => state === 'delayed' })
    await work.deliver(cancelled(orderId))
    await world.untilRow(orderId, 'cancellation', 'sent')
    await world.untilRow(orderId, 'review-request', 'cancelled')
    await waitFor(job, { message: 'its job is gone', until: (state) => state === 'unknown' })
    expect((await world.mails(orderId)).map(({ subject }) => subject).toSorted()).toEqual([
      `Your order ${orderId} is cancelled`,
      `Your order ${orderId} is confirmed`,
    ])
  })
})

describe('jobs', () => {
  test('are served by priority: a cancellation first, a digest last', async () => {
    const work = await world.startWork({ JOB_CONCURRENCY: '1', REVIEW_REQUEST_DELAY_MS: '0' })
    await world.queue.pause()
    const [other] = [newOrderId()]
    await work.deliver(confirmed(orderId), cancelled(other))
    await world.db.query(
      `insert into notifications (id, kind, recipient, content, status, due_at)
       values ($1, 'digest', 'operations@shop.example',
         '{"kind":"digest","since":"2026-01-01","until":"2026-01-02","counts":[]}', 'pending', now())`,
      [randomUUID()],
    )
    await waitFor(() => world.queue.getJobCounts('prioritized'), {
      message: 'four jobs wait',
      until: ({ prioritized }) => prioritized === 4,
    })
    await world.queue.resume()
    const sent = await waitFor(
      () =>
        world.db.query(
          `select kind from notifications where sent_at is not null
             and (order_id = any($1) or kind = 'digest') order by sent_at`,
          [[orderId, other]],
        ),
      { message: 'all are sent', until: (rows) => rows.length === 4 },
    )
    expect(sent.map(({ kind }) => kind)).toEqual([
      'cancellation',
      'confirmation',
      'review-request',
      'digest',
    ])
    await world.db.query(`delete from notifications where kind = 'digest'`)
  })

  test('that are delayed go out when they are due, and not before', async () => {
    const work = await world.startWork({ REVIEW_REQUEST_DELAY_MS: '1500' })
    await work.deliver(confirmed(orderId))
    const row = await world.untilRow(orderId, 'review-request', 'sent')
    const lateMs = Number(row['sent_at']) - Number(row['due_at'])
    expect(lateMs).toBeGreaterThanOrEqual(0)
    expect(Number(row['due_at']) - Number(row['created_at'])).toBeGreaterThanOrEqual(1500)
  })

  test("keep to the provider's rate", async () => {
    const work = await world.startWork({ MAILS_PER_SECOND_MAX: '5' })
    const orders = Array.from({ length: 15 }, newOrderId)
    const startedAt = performance.now()
    await work.deliver(...orders.map((id) => confirmed(id)))
    for (const id of orders) await world.untilRow(id, 'confirmation', 'sent')
    // Fifteen at five a second are three windows, of which the last begins two seconds after the first one has. Not between the first and
    // the last e-mail: those of the first window may be the slow ones.
    expect(performance.now() - startedAt).toBeGreaterThan(1900)
    const rows = await world.db.query(
      `select extract(epoch from max(sent_at) - min(sent_at))::float8 as seconds
       from notifications where order_id = any($1)`,
      [orders],
    )
    expect(rows[0]?.['seconds']).toBeLessThan(10)
  })
})

describe('the digest', () => {
  test('is sent by its scheduler at every interval, once for each, with what was sent', async () => {
    const work = await world.startWork({ DIGEST_INTERVAL_MS: '2000', DIGEST_OFFSET_MS: '1' })
    const other = await world.startWork({ DIGEST_INTERVAL_MS: '2000', DIGEST_OFFSET_MS: '1' })
    const digests = await waitFor(
      async () => {
        // Again and again: a process that stood still for an interval has missed the digest of that one.
        await work.deliver(confirmed(newOrderId()))
        return await world.db.query(
          `select id, content, status, due_at from notifications where kind = 'digest' and status = 'sent' order by due_at`,
        )
      },
      {
        message: 'three digests, with what was sent',
        until: (rows) => rows.length >= 3 && JSON.stringify(rows).includes('"kind":"confirmation"'),
        intervalMs: 200,
      },
    )
    const dues = digests.map((row) => Number(row['due_at']))
    expect(new Set(dues).size).toBe(dues.length)
    for (const due of dues) expect(due % 2000).toBe(1)
    const mails = (await world.mails()).filter(({ to }) => to[0] === 'operations@shop.example')
    for (const { id } of digests) {
      expect(mails.filter(({ notificationId }) => notificationId === id)).toHaveLength(1)
    }
    await other.stop()
  })
})
