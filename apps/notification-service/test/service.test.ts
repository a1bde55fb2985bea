import { join } from 'node:path'
import type { ComposedMessage } from '@edp/event-schemas'
import { createKafkaPublisher } from '@edp/messaging'
import { createLogger } from '@edp/runtime'
import {
  type AppProcess,
  explainPlans,
  spawnApp,
  stack,
  startApp,
  templateDatabase,
  waitFor,
} from '@edp/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { cancelled, confirmed, createWorld, newOrderId, openBrokers, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())

describe('the service as a process', () => {
  let service: AppProcess
  const logger = createLogger('test', 'silent')
  let closeBrokers: () => Promise<void>
  const { kafkaBrokers: brokers } = stack()
  const publisher = createKafkaPublisher({ brokers, clientId: 'test', logger })

  beforeAll(async () => {
    closeBrokers = await openBrokers(world)
    await publisher.start()
    // A lock that a busy machine does not let run out: stalled jobs are counted elsewhere.
    service = await startApp('notification-service', world.env({ JOB_LOCK_MS: '30000' }))
  })
  afterAll(async () => {
    await service.end('SIGKILL')
    await publisher.stop()
    await closeBrokers()
  })

  async function publish(...messages: ComposedMessage[]): Promise<void> {
    const rows = messages.map(
      ({ id: messageId, destination, key, type, payload, headers }, id) => ({
        id,
        messageId,
        destination: destination.replace(/^test\./, `${world.namespace}.`),
        key,
        type,
        payload,
        headers,
      }),
    )
    expect((await publisher.publish(rows)).filter(Boolean)).toEqual([])
  }

  test('tells customers what Kafka brings, and shows what it told', async () => {
    const [kept, given] = [newOrderId(), newOrderId()]
    await publish(confirmed(kept), cancelled(given, 'ben'))
    await world.untilRow(kept, 'confirmation', 'sent')
    await world.untilRow(given, 'cancellation', 'sent')
    const answer = await fetch(`${service.url}/notifications?orderId=${kept}`)
    const page = (await answer.json()) as { notifications: { kind: string; status: string }[] }
    expect(page.notifications.map(({ kind, status }) => `${kind} ${status}`).toSorted()).toEqual([
      'confirmation sent',
      'review-request pending',
    ])
    expect((await world.mails(given)).map(({ to }) => to)).toEqual([['ben@customers.example']])
    expect((await fetch(`${service.url}/notifications?limit=0`)).status).toBe(400)
  })

  test('counts what happens to jobs, how many are in which state, and how long they took', async () => {
    const orderId = newOrderId()
    await publish(confirmed(orderId, `refused-${orderId}`))
    await world.untilRow(orderId, 'confirmation', 'dead')
    const samples = [
      'edp_queue_jobs{queue="notifications",state="failed"} 1',
      'edp_queue_jobs{queue="notifications",state="waiting"} 0',
      'edp_queue_jobs{queue="notifications",state="active"} 0',
      'edp_jobs_total{queue="notifications",event="failed"} 1',
      'edp_jobs_total{queue="notifications",event="stalled"} 0',
      'edp_queue_jobs_stalled_recently{queue="notifications"} 0',
      'edp_notification_due_lag_seconds 0',
      'edp_job_seconds_count{queue="notifications",job="send-confirmation",outcome="failed"} 1',
    ]
    const others = [
      /^edp_jobs_total\{queue="notifications",event="completed"\} [1-9]/m,
      /^edp_queue_jobs\{queue="notifications",state="delayed"\} [1-9]/m,
      /^edp_consumer_lag_messages\{.*consumer="notification-service\.kafka"/m,
    ]
    // Jobs, events and rows are counted each at its own time.
    const missing = async (): Promise<unknown[]> => {
      const page = await (await fetch(`${service.url}/metrics`)).text()
      return [
        ...samples.filter((sample) => !page.includes(`${sample}\n`)),
        ...others.filter((sample) => !sample.test(page)),
      ]
    }
    await expect.poll(missing, { timeout: 30_000 }).toEqual([])
  })

  test('finishes what is under way when it is stopped, and exits with 0', async () => {
    const orderId = newOrderId()
    await publish(confirmed(orderId, `slow-${orderId}`))
    await waitFor(() => world.row(orderId, 'confirmation'), {
      message: 'it is being sent',
      // Or was: a look may come late on a busy machine.
      until: (row) =>
        row !== undefined && (row['lease_owner'] !== null || row['status'] === 'sent'),
    })
    expect(await service.end('SIGTERM')).toBe(0)
    expect(await world.row(orderId, 'confirmation')).toMatchObject({ status: 'sent', attempts: 0 })
    expect(await world.mails(orderId)).toHaveLength(1)
  })
})

test('names every problem of its environment', async () => {
  const doomed = spawnApp('notification-service', { SMTP_URL: 'http://mail', REDIS_URL: 'redis' })
  expect(await doomed.ended).toBe(1)
  const output = doomed.output()
  expect(output).toContain('SMTP_URL: expected an smtp:// or smtps:// URL, given "http://mail"')
  expect(output).toContain('REDIS_URL: expected a redis:// or rediss:// URL')
  expect(output).toContain('DATABASE_URL')
})

/** What walks over a small index, of what is still to be done or of a day, and not over keys. */
const walks: Record<string, string> = {
  feed_rows_to_add: 'notifications_to_add',
  feed_rows_to_remove: 'notifications_to_remove',
  feed_rows_to_compare: 'notifications_pending',
  digest_counts: 'notifications_created',
  digest_any_before: 'notifications_created',
  notifications_remove_ended: 'notifications_created',
}

test('every statement finds its rows by an index, also while the tables are empty', async () => {
  // What other files have loaded into this process declares statements too.
  vi.resetModules()
  const { declaredStatements } = await import('@edp/runtime')
  await import('../src/service.ts')
  const own = declaredStatements().filter(({ name }) =>
    /^(notifications|job_rows|feed_rows|digest)_/.test(name),
  )
  expect(own.length).toBeGreaterThan(10)
  const byKey = own.filter(({ name }) => !(name in walks))
  expect(await explainPlans(world.db.url, byKey)).toEqual([])
  // Of tables that were never written, so that autovacuum has counted nothing.
  const empty = await templateDatabase({
    role: 'notification_service',
    migrations: join(import.meta.dirname, '../migrations'),
  })
  try {
    for (const { name, sql } of own.filter((one) => one.name in walks)) {
      const plan = await empty.query(`explain (generic_plan) ${sql}`)
      const text = plan.map((row) => String(row['QUERY PLAN'])).join('\n')
      expect(text, name).toContain(walks[name])
    }
  } finally {
    await empty.drop()
  }
})
