import { callAtFirstPass, enableFaultPoints } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { queueName } from '../src/jobs/job-queue.ts'
import { harm, unharmed } from './outcome.ts'
import { hasRedisServer, type RedisServer, startRedis } from './redis-server.ts'
import { cancelled, confirmed, createWorld, newOrderId, type World } from './world.ts'

let world: World
let server: RedisServer
let redis: Redis
let queue: Queue

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
beforeEach(async () => {
  server = await startRedis()
  redis = new Redis(server.url, { maxRetriesPerRequest: null })
  queue = new Queue(queueName, { connection: redis, prefix: world.namespace })
  for (const one of [redis, queue]) one.on('error', () => undefined)
})
afterEach(async () => {
  enableFaultPoints(undefined)
  try {
    await world.stopWork()
  } finally {
    redis.disconnect()
    await server.close()
  }
})

/** What leads past a point, until all that is owed is sent; gives the notifications that are to have one e-mail each. */
type Course = () => Promise<string[]>

const sentOf = async (orderId: string): Promise<string[]> => {
  const rows = await world.db.query(
    `select id from notifications where order_id = $1 and status = 'sent'`,
    [orderId],
  )
  expect(await harm(world, [orderId])).toEqual(unharmed)
  return rows.map(({ id }) => String(id))
}

const confirmation: Course = async () => {
  const orderId = newOrderId()
  const work = await world.startWork({ REDIS_URL: server.url })
  await work.deliver(confirmed(orderId))
  await world.untilRow(orderId, 'confirmation', 'sent')
  return await sentOf(orderId)
}

const cancellation: Course = async () => {
  const orderId = newOrderId()
  const work = await world.startWork({ REDIS_URL: server.url })
  await work.deliver(confirmed(orderId))
  await world.untilRow(orderId, 'confirmation', 'sent')
  const { id } = await world.untilRow(orderId, 'review-request', 'pending')
  await waitFor(() => queue.getJobState(String(id)), {
    message: 'the job of the review request waits',
    until: (state) => state === 'delayed',
  })
  await work.deliver(cancelled(orderId))
  await world.untilRow(orderId, 'cancellation', 'sent')
  // What is still owed would be removed by the next work, which would meet the fault of its own test too early.
  await waitFor(() => world.row(orderId, 'review-request'), {
    message: 'its removal is not owed any more',
    until: (row) => row?.['queued_at'] === null,
  })
  expect(await queue.getJobState(String(id))).toBe('unknown')
  return await sentOf(orderId)
}

/** A job that Redis has lost. */
const lostJob: Course = async () => {
  const orderId = newOrderId()
  await world.owe(confirmed(orderId))
  await world.db.query(
    `update notifications set queued_at = now() - interval '1 hour', due_at = now() - interval '1 hour'
     where order_id = $1 and kind = 'confirmation'`,
    [orderId],
  )
  await world.startWork({ REDIS_URL: server.url })
  await world.untilRow(orderId, 'confirmation', 'sent')
  return await sentOf(orderId)
}

/** The digest whose planner meets the fault, and the next one. */
const digests: Course = async () => {
  const since = new Date()
  await world.startWork({
    REDIS_URL: server.url,
    DIGEST_INTERVAL_MS: '1500',
    DIGEST_OFFSET_MS: '1',
  })
  const sent = await waitFor(
    () =>
      world.db.query(
        `select id from notifications where kind = 'digest' and status = 'sent' and due_at > $1`,
        [since],
      ),
    { message: 'two digests', until: (rows) => rows.length >= 2 },
  )
  return sent.map(({ id }) => String(id))
}

const courses: [string, Course, number][] = [
  ['feeder.before-add', confirmation, 1],
  ['feeder.added', confirmation, 1],
  ['feeder.before-remove', cancellation, 2],
  ['feeder.removed', cancellation, 2],
  ['job.before-claim', confirmation, 1],
  ['job.claimed', confirmation, 1],
  ['job.answered', confirmation, 1],
  ['job.marked', confirmation, 1],
  ['reconciler.before-add', lostJob, 1],
  ['reconciler.added', lostJob, 1],
  ['digest.before-plan', digests, 2],
  ['digest.planned', digests, 2],
]

describe.runIf(hasRedisServer).each([
  ['comes back with its data', 'start'],
  ['comes back empty', 'startEmpty'],
] as const)('Redis that is killed with SIGKILL and %s', (_how, start) => {
  test.each(courses)('at %s: each e-mail goes out once', async (point, course, count) => {
    const back = Promise.withResolvers<void>()
    enableFaultPoints(
      callAtFirstPass(point, async () => {
        await server.kill()
        // The service goes on meanwhile: without Redis.
        back.resolve(server[start]())
      }),
    )
    const ids = await course()
    await back.promise
    // Until nothing is left that could send one once more.
    await waitFor(() => queue.getJobCounts('active', 'waiting', 'prioritized'), {
      message: 'no job is left',
      until: (counts) => Object.values(counts).every((jobs) => jobs === 0),
    })
    expect(ids.length).toBeGreaterThanOrEqual(count)
    const mails = await world.mails()
    for (const id of ids) {
      expect(mails.filter(({ notificationId }) => notificationId === id)).toHaveLength(1)
    }
  })
})
