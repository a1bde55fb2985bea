import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createLogger } from '@edp/runtime'
import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  createSourceWatch,
  metricsSource,
  metricsSources,
  rabbitmqSource,
} from '../../src/alerts/sources.ts'
import { createWorld, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
afterEach(() => world.clear())

/** A page of metrics that a test changes. */
async function metricsPage(text: string) {
  let page = text
  let server: Server
  let port = 0
  const open = async (): Promise<void> => {
    server = createServer((_request, response) => response.end(page))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address !== null && typeof address !== 'string') port = address.port
  }
  await open()
  return {
    urls: JSON.stringify({ 'a-service': `http://127.0.0.1:${port}/metrics` }),
    show(next: string) {
      page = next
    },
    open,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

const age = (seconds: number): string =>
  `edp_outbox_oldest_pending_seconds{database="orders",transport="kafka"} ${seconds}`

test('a figure above its bound for long enough is told, and when it is below it again', async () => {
  const page = await metricsPage(age(61))
  await world.start({ METRICS_URLS: page.urls })
  await world.untilTold('firing outbox-age')
  const told = world.receiver.received.find(({ what }) => what === 'firing outbox-age')
  expect(told?.summary).toBe(
    'The oldest row in the outbox of orders for kafka has waited for 61 s (bound 60 s)',
  )
  page.show(age(59))
  await world.untilTold('firing outbox-age', 'resolved outbox-age')
  await page.close()
})

test('too many waiting and failed jobs are told, and when they are fewer again', async () => {
  const jobs = (waiting: number, failed: number): string =>
    `edp_queue_jobs{queue="notifications",state="waiting"} ${waiting}
edp_queue_jobs{queue="notifications",state="failed"} ${failed}`
  const page = await metricsPage(jobs(1001, 101))
  await world.start({ METRICS_URLS: page.urls })
  await waitFor(
    () => world.db.query("select rule from alerts where status = 'firing' order by rule"),
    {
      message: 'both alert',
      until: (rows) => rows.map(({ rule }) => rule).join() === 'jobs-failed,jobs-waiting',
    },
  )
  page.show(jobs(1000, 100))
  const ended = await waitFor(
    () => world.db.query("select rule from alerts where status = 'resolved' order by rule"),
    { message: 'both have ended', until: (rows) => rows.length === 2 },
  )
  expect(ended).toEqual([{ rule: 'jobs-failed' }, { rule: 'jobs-waiting' }])
  await page.close()
})

test('a source that cannot be read is told, its alerts stay, and both end when it answers well', async () => {
  const page = await metricsPage(age(100))
  await world.start({ METRICS_URLS: page.urls })
  await world.untilTold('firing outbox-age')
  await page.close()
  await world.untilTold('firing outbox-age', 'firing source-unreadable')
  const live = await world.db.query("select rule from alerts where status = 'firing' order by rule")
  expect(live).toEqual([{ rule: 'outbox-age' }, { rule: 'source-unreadable' }])
  page.show(age(0))
  await page.open()
  await world.untilTold(
    'firing outbox-age',
    'firing source-unreadable',
    'resolved outbox-age',
    'resolved source-unreadable',
  )
  await page.close()
})

test('a page that hangs does not hold up the others, nor the letters', async () => {
  const hanging = createServer(() => undefined)
  hanging.listen(0, '127.0.0.1')
  await once(hanging, 'listening')
  const address = hanging.address()
  const port = address !== null && typeof address !== 'string' ? address.port : 0
  const page = await metricsPage(age(1))
  const watch = createSourceWatch({
    sources: [
      metricsSource('hangs', `http://127.0.0.1:${port}`, new Set()),
      metricsSource('answers', JSON.parse(page.urls)['a-service'], new Set()),
    ],
    intervalMs: 10,
    timeoutMs: 200,
    logger: createLogger('test', 'silent'),
  })
  expect(watch.readings().map(({ kind }) => kind)).toEqual(['unread', 'unread'])
  await watch.loop.start()
  const readings = await waitFor(() => watch.readings(), {
    message: 'one is read, the other is not',
    // On a busy machine the one that answers may time out too, at first.
    until: (all) => all.map(({ kind }) => kind).join() === 'unreadable,read',
  })
  expect(readings).toEqual([
    { source: 'hangs', kind: 'unreadable', error: 'timed out' },
    { source: 'answers', kind: 'read', samples: [] },
  ])
  await watch.loop.stop()
  hanging.close()
  hanging.closeAllConnections()
  await page.close()
})

test('every replica is read, also one that comes later; one that is silent hides no other, and one that is gone is not missed', async () => {
  const serve = async (address: string, port: number, value: number): Promise<Server> => {
    const server = createServer((_request, response) => response.end(age(value)))
    server.listen(port, address)
    await once(server, 'listening')
    return server
  }
  const first = await serve('127.0.0.1', 0, 1)
  const address = first.address()
  const port = address !== null && typeof address !== 'string' ? address.port : 0
  let addresses = ['127.0.0.1']
  const watch = createSourceWatch({
    sources: [
      metricsSources(
        'replicas',
        `http://replicas.internal:${port}/metrics`,
        new Set(['edp_outbox_oldest_pending_seconds']),
        async (host) => {
          if (addresses.length === 0) throw new Error(`${host} has no address`)
          return addresses
        },
      ),
    ],
    intervalMs: 10,
    timeoutMs: 3000,
    logger: createLogger('test', 'silent'),
  })
  const untilRead = (expected: readonly string[]): Promise<unknown> =>
    waitFor(
      () =>
        watch
          .readings()
          .map((one) =>
            one.kind === 'read'
              ? `${one.source} ${one.samples.map(({ value }) => value).join()}`
              : `${one.source} ${one.kind === 'unreadable' ? one.error : one.kind}`,
          ),
      { message: expected.join(', '), until: (all) => all.join() === expected.join() },
    )
  await watch.loop.start()
  await untilRead(['replicas@127.0.0.1 1'])
  addresses = ['127.0.0.1', '::1']
  await untilRead(['replicas@127.0.0.1 1', 'replicas@::1 ECONNREFUSED'])
  const second = await serve('::1', port, 2)
  await untilRead(['replicas@127.0.0.1 1', 'replicas@::1 2'])
  addresses = ['::1']
  await untilRead(['replicas@::1 2'])
  addresses = []
  await untilRead(['replicas replicas.internal has no address'])
  await watch.loop.stop()
  for (const server of [first, second]) {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
})

test("the depth of the namespace's queues is read from RabbitMQ", async () => {
  const namespace = uniqueNamespace()
  const { rabbitmqUrl: amqpUrl, rabbitmqManagementUrl: url } = stack()
  const { username, password } = new URL(amqpUrl)
  const api = async (method: string, path: string, body?: unknown): Promise<void> => {
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    const response = await fetch(`${url}/api/${path}`, {
      method,
      headers: { authorization },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
  }
  const queue = `${namespace}.dlq`
  await api('PUT', `queues/%2F/${queue}`, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum' },
  })
  try {
    for (const payload of ['a', 'b', 'c']) {
      const message = { routing_key: queue, payload, payload_encoding: 'string', properties: {} }
      await api('POST', 'exchanges/%2F/amq.default/publish', message)
    }
    const source = rabbitmqSource({ url, amqpUrl, namespace })
    const samples = await waitFor(() => source.read(AbortSignal.timeout(3000)), {
      message: 'the count of the queue, which RabbitMQ samples every five seconds',
      until: ([sample]) => sample?.value === 3,
    })
    expect(samples).toEqual([{ name: 'rabbitmq_queue_messages', labels: { queue }, value: 3 }])
  } finally {
    await api('DELETE', `queues/%2F/${queue}`)
  }
})

test('RabbitMQ that refuses the password is not an empty broker', async () => {
  const amqpUrl = new URL(stack().rabbitmqUrl)
  amqpUrl.password = 'wrong'
  const source = rabbitmqSource({
    url: stack().rabbitmqManagementUrl,
    amqpUrl: amqpUrl.href,
    namespace: 'edp',
  })
  await expect(source.read(AbortSignal.timeout(30_000))).rejects.toThrow('HTTP 401')
})
