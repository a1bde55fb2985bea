import { EventEmitter } from 'node:events'
import type { HealthReport } from '@edp/runtime'
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Delivery } from './batch-lane.ts'
import { RabbitSession } from './rabbitmq-session.ts'

type OnMessage = (message: ConsumeMessage | null) => void

/** A broker that does nothing by itself, and remembers what it was told. */
class FakeBroker {
  readonly told: string[] = []
  readonly model = new EventEmitter()
  readonly channel = new EventEmitter()
  waiting = 0
  answers = true
  /** Confirms no end of anything. */
  isSilent = false
  #onMessage: OnMessage = () => undefined
  #tag = 0

  connect = async (): Promise<ChannelModel> => {
    const close = async (): Promise<void> => {
      await this.#confirm('close connection')
      this.model.emit('close')
    }
    const createChannel = async () => this.#channel()
    return Object.assign(this.model, { close, createChannel }) as unknown as ChannelModel
  }

  deliver(): void {
    this.#tag += 1
    const fields = { deliveryTag: this.#tag, consumerTag: 'queue' }
    const message = { fields, properties: {}, content: Buffer.from('{}') }
    this.#onMessage(message as ConsumeMessage)
  }

  cancelConsumer(): void {
    this.#onMessage(null)
  }

  async #confirm(what: string): Promise<void> {
    this.told.push(what)
    if (this.isSilent) await Promise.withResolvers<never>().promise
  }

  #channel(): Channel {
    return Object.assign(this.channel, {
      prefetch: async (count: number, global: boolean) => {
        this.told.push(`prefetch ${count} ${global}`)
      },
      consume: async (queue: string, onMessage: OnMessage) => {
        this.told.push(`consume ${queue}`)
        this.#onMessage = onMessage
      },
      cancel: () => this.#confirm('cancel'),
      ack: ({ fields }: ConsumeMessage, allUpTo: boolean) => {
        this.told.push(`ack ${allUpTo ? 'up to ' : ''}${fields.deliveryTag}`)
      },
      nack: ({ fields }: ConsumeMessage) => {
        this.told.push(`nack up to ${fields.deliveryTag}`)
      },
      checkQueue: () =>
        this.answers
          ? Promise.resolve({ messageCount: this.waiting })
          : Promise.withResolvers<never>().promise,
      close: async () => {
        await this.#confirm('close channel')
        this.channel.emit('close')
      },
    }) as unknown as Channel
  }
}

let broker: FakeBroker
let session: RabbitSession
let taken: Delivery[]
let lane: { busy: boolean; stop: () => Promise<void> }
let ended: Promise<unknown>

beforeEach(async () => {
  vi.useFakeTimers({
    toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'],
  })
  broker = new FakeBroker()
  taken = []
  lane = { busy: false, stop: async () => undefined }
  session = new RabbitSession({
    connect: broker.connect,
    queues: ['queue'],
    name: 'test',
    prefetchMax: 10,
    stallMs: 30_000,
    lane: {
      take: async (delivery) => {
        taken.push(delivery)
      },
      stop: () => lane.stop(),
      get busy() {
        return lane.busy
      },
      report: (): HealthReport => ({ status: 'ok' }),
    },
  })
  ended = session.run().catch((error: unknown) => error)
  await vi.waitUntil(() => session.isConsuming)
})

afterEach(async () => {
  await session.stop()
  vi.useRealTimers()
})

/** Settles so many of each delivery named, and waits for the end of the tick. */
async function settle(...settled: readonly (readonly [delivery: number, count: number])[]) {
  for (const [index, count] of settled) taken[index]?.settle(count)
  await Promise.resolve()
}

async function deliverAll(counts: readonly number[]): Promise<void> {
  for (const count of counts) {
    const before = taken.length
    for (let index = 0; index < count; index += 1) broker.deliver()
    await vi.waitUntil(() => taken.length > before)
  }
}

test('prefetches for each consumer, and takes what arrived at once as one delivery', async () => {
  expect(broker.told).toEqual(['prefetch 10 false', 'consume queue'])
  await deliverAll([3, 2])
  expect(taken.map(({ messages }) => messages.length)).toEqual([3, 2])
})

test('acknowledges nothing before it is settled, and never past what is not', async () => {
  await deliverAll([3, 2])
  expect(broker.told).toHaveLength(2)
  await settle([1, 2])
  expect(broker.told).toHaveLength(2)
  await settle([0, 2])
  expect(broker.told.slice(2)).toEqual(['ack up to 2'])
  await settle([0, 3])
  expect(broker.told.slice(2)).toEqual(['ack up to 2', 'ack up to 5'])
})

test('what is settled at once is acknowledged at once', async () => {
  await deliverAll([1, 2, 1])
  await settle([0, 1], [1, 2], [2, 1])
  expect(broker.told.slice(2)).toEqual(['ack up to 4'])
})

test('a stop cancels, ends what runs, acknowledges it, and only then closes the channel and the connection', async () => {
  await deliverAll([1, 2])
  lane.stop = async () => taken[1]?.settle(2)
  await session.stop()
  expect(broker.told.slice(2)).toEqual([
    'cancel',
    'nack up to 1',
    'ack up to 3',
    'close channel',
    'close connection',
  ])
})

test('a stop waits for a broker that confirms nothing once, and for two seconds', async () => {
  await deliverAll([1])
  lane.stop = async () => taken[0]?.settle(1)
  broker.isSilent = true
  let isOver = false
  const stopped = session.stop().then(() => (isOver = true))
  await vi.advanceTimersByTimeAsync(1999)
  expect(isOver).toBe(false)
  await vi.advanceTimersByTimeAsync(1)
  expect(isOver).toBe(true)
  await stopped
  expect(broker.told.slice(2)).toEqual([
    'cancel',
    'ack up to 1',
    'close channel',
    'close connection',
  ])
})

test.each([
  ['the connection was lost', (): unknown => broker.model.emit('close', new Error('reset'))],
  ['the channel was closed', (): unknown => broker.channel.emit('close')],
  ['the consumer was cancelled', (): unknown => broker.cancelConsumer()],
])('once %s it is over, and what is settled later is not acknowledged', async (_, happen) => {
  await deliverAll([1])
  happen()
  expect(await ended).toBeInstanceOf(Error)
  expect(session.isConsuming).toBe(false)
  await settle([0, 1])
  expect(broker.told.filter((what) => what.startsWith('ack'))).toEqual([])
})

test('the reason of an end is the error that came before it', async () => {
  const error = new Error('PRECONDITION_FAILED')
  broker.channel.emit('error', error)
  broker.channel.emit('close')
  expect(await ended).toBe(error)
})

test('messages that wait while none comes are unhealthy after a while, until one comes', async () => {
  broker.waiting = 5
  await vi.advanceTimersByTimeAsync(20_000)
  expect(session.report().status).toBe('ok')
  await vi.advanceTimersByTimeAsync(20_000)
  expect(session.report()).toEqual({
    status: 'unhealthy',
    detail: expect.stringContaining('messages wait and none came'),
  })
  await deliverAll([1])
  expect(session.report().status).toBe('ok')
})

test('messages that wait while others are being handled are no fault', async () => {
  broker.waiting = 5
  lane.busy = true
  await vi.advanceTimersByTimeAsync(60_000)
  lane.busy = false
  expect(session.report().status).toBe('ok')
})

test('a broker that does not answer, and one that blocks the connection, are degraded', async () => {
  broker.model.emit('blocked', 'low on memory')
  expect(session.report()).toMatchObject({
    status: 'degraded',
    detail: expect.stringContaining('blocks'),
  })
  broker.model.emit('unblocked')
  expect(session.report().status).toBe('ok')
  broker.answers = false
  await vi.advanceTimersByTimeAsync(40_000)
  expect(session.report()).toMatchObject({
    status: 'degraded',
    detail: expect.stringContaining('does not answer'),
  })
})
