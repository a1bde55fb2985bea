import { createHealth } from '@edp/runtime'
import { proxyToUrl, waitFor } from '@edp/testkit'
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib'
import { expect, test } from 'vitest'
import { createConsumerSessions } from '../src/consumer-sessions.ts'
import { connectToRabbit } from '../src/rabbitmq-connection.ts'
import { RabbitSession } from '../src/rabbitmq-session.ts'
import { untilConsuming, useCounterQueue } from './fixtures/counter-queue.ts'
import { counterConsumer } from './fixtures/counter-service.ts'

const {
  url: rabbitmqUrl,
  service,
  logger,
  running,
  namespace,
  queue,
  declare,
  deleteAll,
  deleteQueue,
  startConsumer,
  publish,
  untilApplied,
  expectEachOnce,
  expectDrained,
} = useCounterQueue()

test('a queue that is not there closes the channel alone: degraded, until the queue is there', async () => {
  await deleteAll()
  const member = await startConsumer()
  await waitFor(() => member.check()?.detail, {
    message: 'the check names the cause',
    until: (detail) => detail?.includes('NOT_FOUND') === true,
  })
  expect(member.check()?.status).toBe('degraded')
  await declare()
  await publish(20)
  await untilApplied(20)
  await untilConsuming(member)
  await expectEachOnce(20)
  await expectDrained(member)
})

test('a queue that is deleted and declared again is consumed again', async () => {
  const member = await startConsumer()
  await publish(20)
  await untilApplied(20)
  for (let round = 1; round <= 3; round += 1) {
    await deleteQueue()
    await waitFor(() => member.check()?.status === 'degraded', { message: 'it has noticed' })
    await declare()
    await publish(20)
    await untilApplied(20 + 20 * round)
  }
  await untilConsuming(member)
  await expectEachOnce(80)
  await expectDrained(member)
})

test('a channel that the broker closes alone, with messages in hand, is made anew', async () => {
  const consumer = counterConsumer({ transport: 'rabbitmq' })
  const health = createHealth()
  const channels: Channel[] = []
  const connections: ChannelModel[] = []
  const onCrash = (error: unknown): void => {
    throw error
  }
  const options = { namespace: namespace(), consumer, logger, health, onCrash }
  const component = createConsumerSessions({
    ...options,
    pipeline: service().pipeline({ consumer }),
    absence: 'not consuming',
    isOutage: () => true,
    openSession: (lane) =>
      new RabbitSession({
        connect: async () => {
          const connection = await connectToRabbit({ url: rabbitmqUrl, name: 'test' })
          const createChannel = connection.createChannel.bind(connection)
          connection.createChannel = async () => {
            const created = await createChannel()
            channels.push(created)
            return created
          }
          connections.push(connection)
          return connection
        },
        queues: [queue()],
        name: 'test',
        prefetchMax: 100,
        lane,
        stallMs: 30_000,
      }),
  })
  running.push(component)
  await component.start()
  for (let round = 1; round <= 3; round += 1) {
    await publish(200)
    await waitFor(() => channels.length === round, { message: 'a channel' })
    // An acknowledgement of what was never delivered: the broker closes the channel and keeps the connection.
    await untilApplied(200 * round - 100)
    const unknown = { fields: { deliveryTag: 1_000_000 } }
    channels.at(-1)?.ack(unknown as ConsumeMessage)
    await waitFor(() => channels.length === round + 1, { message: 'another channel' })
  }
  await untilApplied(600)
  await expectEachOnce(600)
  expect(connections).toHaveLength(4)
})

test('a broker that is away at the start, and goes away later, is waited for', async () => {
  const { proxy, url } = await proxyToUrl(rabbitmqUrl)
  await proxy.cut()
  const member = await startConsumer({ url })
  await waitFor(() => member.check()?.detail, {
    message: 'the check names the cause',
    until: (detail) => detail?.includes('ECONNREFUSED') === true,
  })
  await proxy.open()
  await publish(20)
  await untilApplied(20)
  await untilConsuming(member)
  await proxy.cut()
  await waitFor(() => member.check()?.status === 'degraded', { message: 'it has noticed' })
  await publish(20)
  await proxy.open()
  await untilApplied(40)
  await expectEachOnce(40)
  await expectDrained(member)
})

test('a broker that takes connections and says nothing does not hold up a stop', async () => {
  const { proxy, url } = await proxyToUrl(rabbitmqUrl)
  proxy.freeze()
  const member = await startConsumer({ url })
  const startedAt = performance.now()
  await member.component.stop()
  // Not for the 10 s after which the client gives a connection up.
  expect(performance.now() - startedAt).toBeLessThan(8000)
})

test('a connection that fell silent while it consumed does not hold up a stop for long', async () => {
  const { proxy, url } = await proxyToUrl(rabbitmqUrl)
  const member = await startConsumer({ url })
  await publish(20)
  await untilApplied(20)
  proxy.freeze()
  const startedAt = performance.now()
  await member.component.stop()
  // The 2 s for which a session waits (its own test says for how long exactly), and not the 20 s after which the client gives it up.
  expect(performance.now() - startedAt).toBeLessThan(12_000)
})
