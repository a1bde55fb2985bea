import { startApp, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { areAllSent, harm, notOnce, orders, unharmed, untilAllSent } from './outcome.ts'
import { hasRedisServer, type RedisServer, startRedis } from './redis-server.ts'
import { confirmed, createWorld, metric, newOrderId, openBrokers, type World } from './world.ts'

let world: World
let closeBrokers: () => Promise<void>

beforeAll(async () => {
  // An SMTP server that is slow is slower than lease and lock.
  world = await createWorld(6000)
  closeBrokers = await openBrokers(world)
})
afterAll(async () => {
  await world.close()
  await closeBrokers()
})
afterEach(async () => {
  world.redisLink.mend()
  await world.stopWork()
  await world.emptyRedis()
})

describe('a process that is killed', () => {
  test.each([
    ['before it adds the job', 'feeder.before-add', 1],
    ['after it has added the job, before it has marked the row', 'feeder.added', 1],
    ['before it claims the row', 'job.before-claim', 1],
    ['with the claim, before the e-mail', 'job.claimed', 1],
    // The window: the provider has the e-mail, and nobody has written that down.
    ["between the provider's answer and the mark", 'job.answered', 2],
    ['after the mark, before Redis knows', 'job.marked', 1],
  ])('%s: the e-mail goes out', async (_when, point, mails) => {
    const orderId = newOrderId()
    const other = await startApp(
      'notification-service',
      world.env({ FAULT_POINTS: `${point}=kill@1`, LOG_LEVEL: 'info' }),
    )
    await world.owe(confirmed(orderId))
    await other.ended
    await world.startWork()
    await untilAllSent(world, [orderId])
    // Until nothing is left that could send it once more.
    await waitFor(() => world.queue.getJobCounts('active', 'waiting', 'prioritized'), {
      message: 'no job is left',
      until: ({ active, waiting, prioritized }) =>
        active === 0 && waiting === 0 && prioritized === 0,
    })
    expect(await world.mails(orderId)).toHaveLength(mails)
    expect(await harm(world, [orderId])).toEqual(unharmed)
  })

  test('under load loses no e-mail, and doubles none but what it had under way', async () => {
    const orderIds: string[] = []
    const concurrency = 5
    const other = await startApp(
      'notification-service',
      world.env({ FAULT_POINTS: 'job.answered=kill@60', JOB_CONCURRENCY: String(concurrency) }),
    )
    let hasEnded = false
    void other.ended.then(() => (hasEnded = true))
    await world.startWork()
    // Until it has had its share: on a busy machine it may begin when this process has sent all.
    while (!hasEnded) {
      const more = orders(300)
      orderIds.push(...more)
      await world.owe(...more.map((id) => confirmed(id)))
      await waitFor(async () => hasEnded || (await areAllSent(world, more)), {
        message: 'it is killed, or all is sent',
        intervalMs: 100,
      })
    }
    await untilAllSent(world, orderIds)
    const odd = await notOnce(world, orderIds)
    expect(odd.every(([, count]) => count === 2)).toBe(true)
    expect(odd.length).toBeLessThanOrEqual(concurrency)
    await waitFor(() => metric('edp_queue_jobs_stalled_recently{queue="notifications"}'), {
      message: 'what it had under way is counted as stalled',
    })
    expect(await metric('edp_jobs_total{queue="notifications",event="stalled"}')).toBeGreaterThan(0)
    expect(await harm(world, orderIds)).toEqual(unharmed)
  })
})

describe('Redis', () => {
  test('that is away when the service starts is waited for', async () => {
    world.redisLink.cut()
    const work = await world.startWork()
    const orderIds = orders(5)
    await work.deliver(...orderIds.map((id) => confirmed(id)))
    await waitFor(work.problems, {
      message: 'the service says so',
      until: (problems) => problems.some((problem) => problem.startsWith('job-worker is degraded')),
    })
    world.redisLink.mend()
    await untilAllSent(world, orderIds)
    expect(await notOnce(world, orderIds)).toEqual([])
    await waitFor(work.problems, { message: 'it is well again', until: (all) => all.length === 0 })
  })

  test.each(['cut', 'freeze'] as const)('that goes (%s) under load is waited for', async (how) => {
    const work = await world.startWork()
    const orderIds = orders(100)
    await work.deliver(...orderIds.slice(0, 50).map((id) => confirmed(id)))
    await untilAllSent(world, orderIds.slice(0, 1))
    world.redisLink[how]()
    await work.deliver(...orderIds.slice(50).map((id) => confirmed(id)))
    await waitFor(work.problems, {
      message: 'the feeder says so',
      until: (problems) => problems.some((problem) => problem.startsWith('job-feeder is degraded')),
    })
    world.redisLink.mend()
    await untilAllSent(world, orderIds)
    expect(await notOnce(world, orderIds)).toEqual([])
    expect(await harm(world, orderIds)).toEqual(unharmed)
  })

  test('that is away does not keep the service from stopping', async () => {
    const work = await world.startWork()
    await waitFor(work.problems, { message: 'it runs', until: (all) => all.length === 0 })
    world.redisLink.cut()
    const startedAt = performance.now()
    await work.stop()
    expect(performance.now() - startedAt).toBeLessThan(8000)
  })

  test('that is just coming back does not keep it from stopping either', async () => {
    const work = await world.startWork()
    await waitFor(work.problems, { message: 'it runs', until: (all) => all.length === 0 })
    world.redisLink.cut()
    const isDegraded = (one: string): boolean => one.startsWith('job-worker is degraded')
    await waitFor(work.problems, { message: 'it is away', until: (all) => all.some(isDegraded) })
    world.redisLink.mend()
    await waitFor(work.problems, { message: 'it is back', until: (all) => !all.some(isDegraded) })
    const startedAt = performance.now()
    await work.stop()
    expect(performance.now() - startedAt).toBeLessThan(8000)
  })

  test('that is emptied forgets no e-mail, and no digest to come', async () => {
    const work = await world.startWork({ JOB_CONCURRENCY: '1', MAILS_PER_SECOND_MAX: '20' })
    const orderIds = orders(40)
    await work.deliver(...orderIds.map((id) => confirmed(id)))
    await untilAllSent(world, orderIds.slice(0, 1))
    await world.emptyRedis()
    await untilAllSent(world, orderIds)
    expect(await notOnce(world, orderIds)).toEqual([])
    expect(await harm(world, orderIds)).toEqual(unharmed)
    await waitFor(() => world.queue.getJobScheduler('digest'), { message: 'the scheduler is back' })
  })

  describe.runIf(hasRedisServer)('killed with SIGKILL', () => {
    let server: RedisServer
    beforeEach(async () => {
      server = await startRedis()
    })
    afterEach(async () => {
      await world.stopWork()
      await server.close()
    })

    test('again and again under load, loses and doubles no e-mail', async () => {
      const work = await world.startWork({ REDIS_URL: server.url, MAILS_PER_SECOND_MAX: '100' })
      const orderIds = orders(300)
      for (const at of [0, 100, 200]) {
        await work.deliver(...orderIds.slice(at, at + 100).map((id) => confirmed(id)))
        await untilAllSent(world, orderIds.slice(at, at + 1))
        await server.kill()
        await server.start()
      }
      await untilAllSent(world, orderIds, 60_000)
      expect(await notOnce(world, orderIds)).toEqual([])
      expect(await harm(world, orderIds)).toEqual(unharmed)
    })
  })
})

describe('an SMTP server', () => {
  test('that is down for a while is waited for: no attempt is used, and nothing is dead', async () => {
    const work = await world.startWork()
    await world.stopSandbox()
    const orderIds = orders(30)
    await work.deliver(...orderIds.map((id) => confirmed(id)))
    await waitFor(work.problems, {
      message: 'the service says so',
      until: (problems) => problems.some((problem) => problem.startsWith('smtp is degraded')),
    })
    // More often than an e-mail has attempts.
    await waitFor(() => world.queue.getJobs('prioritized'), {
      message: 'a job was started and put back ten times',
      until: (jobs) => jobs.some((job) => job.attemptsStarted >= 10),
      timeoutMs: 30_000,
    })
    await world.restartSandbox()
    await untilAllSent(world, orderIds)
    expect(await notOnce(world, orderIds)).toEqual([])
    expect(await harm(world, orderIds)).toEqual(unharmed)
  })

  test('that is slower than lease and lock gets each e-mail once, from two processes', async () => {
    const work = await world.startWork()
    await world.startWork()
    const orderIds = orders(6)
    await work.deliver(...orderIds.map((id, index) => confirmed(id, `slow-${index}`)))
    await untilAllSent(world, orderIds)
    expect(await notOnce(world, orderIds)).toEqual([])
    expect(await harm(world, orderIds)).toEqual(unharmed)
  })
})

test('ten thousand notifications are sent once each, while Redis is emptied in the middle', async () => {
  const work = await world.startWork({ REVIEW_REQUEST_DELAY_MS: '0', JOB_CONCURRENCY: '20' })
  const orderIds = orders(5000)
  for (let at = 0; at < orderIds.length; at += 500) {
    await work.deliver(...orderIds.slice(at, at + 500).map((id) => confirmed(id)))
  }
  const startedAt = performance.now()
  const sent = async (): Promise<number> => {
    const [row] = await world.db.query(
      `select count(*)::integer as sent from notifications where order_id = any($1) and status = 'sent'`,
      [orderIds],
    )
    return Number(row?.['sent'])
  }
  const until = (count: number) =>
    waitFor(sent, {
      message: `${count} are sent`,
      until: (value) => value >= count,
      timeoutMs: 240_000,
      intervalMs: 200,
    })
  await until(3000)
  await world.emptyRedis()
  await until(10_000)
  console.log(`7,000 and more e-mails in ${Math.round(performance.now() - startedAt)} ms`)
  const ids = await world.db.query('select id from notifications where order_id = any($1)', [
    orderIds,
  ])
  const own = new Set(ids.map(({ id }) => id))
  const mails = (await world.mails()).filter(({ notificationId }) => own.has(notificationId))
  expect(mails).toHaveLength(10_000)
  expect(new Set(mails.map(({ notificationId }) => notificationId)).size).toBe(10_000)
  expect(await harm(world, orderIds)).toEqual(unharmed)
  // A minute at a load of 13 on two cores (measured).
}, 300_000)
