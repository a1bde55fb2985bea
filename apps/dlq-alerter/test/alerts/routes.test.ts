import {
  createHealth,
  createLogger,
  declaredStatements,
  type Lifecycle,
  readConfig,
} from '@edp/runtime'
import { explainPlans, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { config } from '../../src/config.ts'
import { createService } from '../../src/service.ts'
import { createWorld, newGroupId, type World } from './world.ts'

let world: World
let service: Lifecycle & { url(): string }
beforeAll(async () => {
  world = await createWorld()
  service = await createService(readConfig(config, world.env({ HTTP_PORT: '0' })), {
    logger: createLogger('test', 'silent'),
    health: createHealth(),
    fatal: (error) => {
      throw error
    },
  })
  await service.start()
  for (let one = 0; one < 3; one += 1) await world.letters(newGroupId(), 1)
  await world.untilTold('firing dlq-group', 'firing dlq-group', 'firing dlq-group')
})
afterAll(async () => {
  await service.stop()
  await world.close()
})

const page = z.object({
  alerts: z.array(z.record(z.string(), z.unknown())).default([]),
  notifications: z.array(z.record(z.string(), z.unknown())).default([]),
  nextCursor: z.string().nullable(),
})

async function get(path: string) {
  const response = await fetch(`${service.url()}${path}`)
  return page.parse(await response.json())
}

test('alerts are shown newest first, a page at a time', async () => {
  const all = await get('/alerts?status=firing')
  expect(all.alerts).toHaveLength(3)
  expect(all.alerts[0]).toMatchObject({
    dedupKey: expect.stringMatching(new RegExp(`^${world.namespace}/dlq-group/`)),
    rule: 'dlq-group',
    status: 'firing',
    severity: 'warning',
    path: expect.stringMatching(/^\/groups\//),
    runbook: 'dead-letters.md',
    endsAt: null,
  })
  const one = await get('/alerts?limit=2')
  const two = await get(`/alerts?limit=2&cursor=${one.nextCursor}`)
  expect([...one.alerts, ...two.alerts]).toEqual(all.alerts)
  expect(two.nextCursor).toBeNull()
  expect((await get('/alerts?status=resolved')).alerts).toEqual([])
})

test('notifications are shown with what became of them', async () => {
  const sent = await waitFor(() => get('/notifications?status=sent&limit=100'), {
    message: 'everything is sent',
    until: ({ notifications }) => notifications.length === 7,
  })
  const channels = sent.notifications.map(
    ({ channel, kind }) => `${String(channel)} ${String(kind)}`,
  )
  expect(channels.toSorted()).toEqual([
    'log firing',
    'log firing',
    'log firing',
    'webhook firing',
    'webhook firing',
    'webhook firing',
    'webhook heartbeat',
  ])
  expect(sent.notifications[0]).toMatchObject({ attempts: 1, lastError: null, nextAttemptAt: null })
  expect((await get('/notifications?status=failed')).notifications).toEqual([])
})

test.each([
  '/alerts?status=pending',
  '/alerts?cursor=x',
  '/notifications?status=lost',
  '/alerts?q=1',
])('%s is refused', async (path) => {
  const response = await fetch(`${service.url()}${path}`)
  expect(response.status).toBe(400)
  expect(response.headers.get('content-type')).toContain('application/problem+json')
})

test('every statement of one row finds it by its key', async () => {
  const byKey = new Set([
    'notifications_end',
    'notifications_delay',
    'notifications_lock_alert',
    'notifications_pause_channel',
  ])
  const statements = declaredStatements().filter(({ name }) => byKey.has(name))
  expect(statements).toHaveLength(byKey.size)
  expect(await explainPlans(world.db.url, statements)).toEqual([])
})
