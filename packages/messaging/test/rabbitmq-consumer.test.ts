import { once } from 'node:events'
import { proxyToUrl, waitFor } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import { untilConsuming, useCounterQueue } from './fixtures/counter-queue.ts'
import { counterConsumer, openCounterDatabase } from './fixtures/counter-service.ts'

const {
  url: rabbitmqUrl,
  service,
  applied,
  publishAll,
  ready,
  startConsumer,
  spawnConsumer,
  publish,
  untilApplied,
  expectEachOnce,
  expectDrained,
} = useCounterQueue()

describe('each effect happens once', () => {
  test('when every message was published twice, the copies side by side', async () => {
    const member = await startConsumer()
    const rows = await publish(500)
    await publishAll(rows.flatMap((row) => [row, row]))
    await waitFor(() => member.handed.length >= 1500, { message: 'all copies are handled' })
    await expectEachOnce(500)
    await expectDrained(member)
  })

  test('when its connection is cut again and again under load', async () => {
    const { proxy, url } = await proxyToUrl(rabbitmqUrl)
    const member = await startConsumer({ url, batchMessagesMax: 50 })
    let published = 0
    for (let cuts = 0; cuts < 6; cuts += 1) {
      const before = member.handed.length
      // Not awaited: when the last of them is confirmed most may have been handled.
      const publishing = publish(300)
      await waitFor(() => member.handed.length > before + 60, {
        message: 'messages are handled',
      })
      proxy.drop()
      published += (await publishing).length
    }
    await untilApplied(published)
    await expectEachOnce(published)
    await expectDrained(member)
  })

  test('when a process is killed between commit and acknowledgement', async () => {
    await publish(100)
    const killed = spawnConsumer('pipeline.after-commit=kill')
    await once(killed, 'exit')
    const before = await applied()
    expect(before).toBeGreaterThan(0)
    await waitFor(ready, { until: (count) => count === 100, message: 'all of it is back' })
    const member = await startConsumer()
    await waitFor(() => member.handed.length >= 100, { message: 'all of it came again' })
    await expectEachOnce(100)
    await expectDrained(member)
  })

  test('when a process is killed with prefetched messages while another one goes on', async () => {
    const member = await startConsumer()
    await untilConsuming(member)
    const killed = spawnConsumer()
    let isHandling = false
    void once(killed.stdout, 'data').then(() => (isHandling = true))
    let published = 0
    await waitFor(
      async () => {
        published += (await publish(200)).length
        return isHandling
      },
      { timeoutMs: 30_000, message: 'the second process handles messages' },
    )
    published += (await publish(400)).length
    killed.kill('SIGKILL')
    await once(killed, 'exit')
    published += (await publish(200)).length
    await untilApplied(published)
    await expectEachOnce(published)
    await expectDrained(member)
  })
})

describe('Postgres away', () => {
  test('nothing is taken from the queue before it answers', async () => {
    await publish(10)
    let answers = false
    let asked = 0
    const pipeline = service().pipeline({ consumer: counterConsumer({ transport: 'rabbitmq' }) })
    const member = await startConsumer({
      pipeline: {
        ready: async () => {
          asked += 1
          if (!answers) throw Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
        },
        handle: (batch, signal) => pipeline.handle(batch, signal),
      },
    })
    await waitFor(() => asked >= 3, { message: 'three questions' })
    expect(await ready()).toBe(10)
    answers = true
    await untilApplied(10)
    await expectDrained(member)
  })

  test('while it consumes: pauses and tries again in place, on the same channel, and loses nothing', async () => {
    const { proxy, url: databaseUrl } = await proxyToUrl(service().db.serviceUrl)
    const database = openCounterDatabase(databaseUrl)
    const consumer = counterConsumer({ transport: 'rabbitmq' })
    const member = await startConsumer({ pipeline: service().pipeline({ consumer, database }) })
    await publish(50)
    await untilApplied(50)
    await proxy.cut()
    await publish(500)
    await waitFor(() => member.check()?.detail, {
      message: 'it is paused',
      until: (detail) => detail?.startsWith('paused') === true,
    })
    expect(member.check()?.status).toBe('degraded')
    const unacknowledged = 550 - (await ready()) - (await applied())
    expect(unacknowledged).toBe(500)
    await proxy.open()
    await untilApplied(550)
    // Each was handed over once: the messages never went back to the queue.
    await waitFor(() => member.handed.length >= 550, { message: 'all is handled' })
    expect(member.handed).toHaveLength(550)
    await expectEachOnce(550)
    await expectDrained(member)
    await database.end()
  })
})

// Many at once: a channel that closes forgets acknowledgements when they are more than a few commands.
test('a stop under load acknowledges all that was handled and gives back the rest', async () => {
  let left = 0
  for (let round = 0; round < 5; round += 1) {
    await publish(1500)
    const member = await startConsumer({ batchMessagesMax: 200 })
    await waitFor(() => member.handed.length > 100, { message: 'it handles messages' })
    await member.component.stop()
    left = 1500 * (round + 1) - (await applied())
    await waitFor(ready, { until: (count) => count === left, message: `${left} are back` })
  }
  // The last ones were stopped in the middle of it.
  expect(left).toBeGreaterThan(0)
  const member = await startConsumer()
  await untilApplied(7500)
  await expectEachOnce(7500)
  await expectDrained(member)
})
