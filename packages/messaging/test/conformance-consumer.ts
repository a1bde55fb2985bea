import { headerPrefix, type Transport } from '@edp/event-schemas'
import type { OutboxRow, Publisher } from '@edp/outbox'
import {
  type AppError,
  type Component,
  createHealth,
  createLogger,
  type Health,
} from '@edp/runtime'
import { uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ConsumerOptions, IncomingMessage } from '../src/index.ts'
import { addition } from './fixtures/counter-messages.ts'
import { counterConsumer, outboxRows } from './fixtures/counter-service.ts'
import { paused, type RecordingPipeline, recordingPipeline } from './fixtures/recording-pipeline.ts'

/** A broker as the suite sees it. */
export interface ConsumingBroker {
  createPublisher(): Publisher & Component
  createConsumer(options: ConsumerOptions): Component
  /** Makes the topic or the queue of the counter service in a namespace. */
  prepare(namespace: string): Promise<void>
  /** Removes it again; what is kept anyway needs none. */
  cleanUp?(namespace: string): Promise<void>
}

/** Topics keep the order of a key and give every group everything; a queue promises neither. */
const promisesOf = {
  kafka: { order: true, groups: true, position: (to: string) => `^${to}/\\d+@\\d+$` },
  rabbitmq: { order: false, groups: false, position: (to: string) => `^${to.split('/')[1]}@` },
}

interface Member {
  readonly component: Component
  readonly pipeline: RecordingPipeline
  readonly health: Health
  readonly crashes: AppError[]
}

/** What every broker's consumer must do. Messages are counted by id: a publisher may have sent one twice. */
export function describeConsumer(
  name: string,
  transport: Transport,
  broker: () => ConsumingBroker,
): void {
  const promises = promisesOf[transport]
  const idsOf = (messages: readonly IncomingMessage[]): Set<string> =>
    new Set(messages.map((message) => idOf(transport, message)))

  describe(`consuming from ${name}`, () => {
    let publisher: Publisher & Component
    let namespace: string
    const members: Member[] = []

    beforeAll(async () => {
      publisher = broker().createPublisher()
      await publisher.start()
    })
    afterAll(() => publisher.stop())
    beforeEach(async () => {
      namespace = uniqueNamespace()
      await broker().prepare(namespace)
    })
    afterEach(async () => {
      await Promise.all(members.splice(0).map(({ component }) => component.stop()))
      await broker().cleanUp?.(namespace)
    })

    const join = async (
      options: { group?: string; pipeline?: RecordingPipeline } = {},
    ): Promise<Member> => {
      const { pipeline = recordingPipeline(), group = `counter-service.${transport}` } = options
      const health = createHealth()
      const crashes: AppError[] = []
      const component = broker().createConsumer({
        namespace,
        pipeline,
        health,
        consumer: counterConsumer({ name: group, transport }),
        logger: createLogger('conformance', process.env['LOG_LEVEL'] ?? 'silent'),
        onCrash: (error) => crashes.push(error),
        lingerMsMax: 0,
      })
      const member = { component, pipeline, health, crashes }
      members.push(member)
      await component.start()
      return member
    }

    const publish = async (count: number, keys = 5): Promise<OutboxRow[]> => {
      const rows = outboxRows(
        Array.from({ length: count }, (_, seq) =>
          addition({ key: `key-${seq % keys}`, seq, amount: 1 }, { namespace, transport }),
        ),
      )
      expect(await publisher.publish(rows)).toEqual(rows.map(() => undefined))
      return rows
    }

    const until = (condition: () => boolean, message: string): Promise<unknown> =>
      waitFor(condition, { message })

    /** Waits until so many messages, each counted once, were handled. */
    const count = async (probe: () => number, messages: number): Promise<void> => {
      await waitFor(probe, {
        until: (handled) => handled >= messages,
        message: `${messages} messages`,
      })
      expect(probe()).toBe(messages)
    }

    test('what was published before and after the start is delivered with its headers and bytes', async () => {
      const before = await publish(50)
      const { pipeline } = await join()
      await count(() => idsOf(pipeline.messages).size, 50)
      const rows = [...before, ...(await publish(50))]
      await count(() => idsOf(pipeline.messages).size, 100)
      const delivered = new Map(
        pipeline.messages.map((message) => [idOf(transport, message), message]),
      )
      for (const row of rows) {
        const message = delivered.get(row.messageId)
        expect(message?.headers).toEqual(row.headers)
        expect(Buffer.from(message?.body ?? []).toString()).toBe(row.payload)
        expect(message?.position).toMatch(new RegExp(promises.position(row.destination)))
      }
    })

    test.runIf(promises.order)('messages of a key are delivered in their order', async () => {
      const { pipeline } = await join()
      for (let batch = 0; batch < 5; batch += 1) await publish(200, 3)
      await count(() => idsOf(pipeline.messages).size, 1000)
      const last = new Map<string, string>()
      const seen = new Set<string>()
      for (const message of pipeline.messages) {
        const { key } = JSON.parse(Buffer.from(message.body).toString())
        // The ids are uuid v7 of one process: a later message has a greater one.
        const id = idOf(transport, message)
        if (seen.has(id)) continue
        seen.add(id)
        expect(id > (last.get(key) ?? '')).toBe(true)
        last.set(key, id)
      }
    })

    test('what was handled is not delivered again after a clean stop', async () => {
      await publish(100)
      const first = await join()
      await count(() => idsOf(first.pipeline.messages).size, 100)
      await first.component.stop()
      const second = await join()
      const [after] = await publish(1)
      await until(() => second.pipeline.messages.length > 0, 'the new message')
      expect([...idsOf(second.pipeline.messages)]).toEqual([after?.messageId])
    })

    test('what was not handled when a consumer stopped is delivered again', async () => {
      const rows = await publish(100)
      const first = await join()
      first.pipeline.refuse = paused
      await until(() => first.pipeline.refused > 0, 'a first try')
      await first.component.stop()
      expect(first.pipeline.messages).toEqual([])
      const second = await join()
      await count(() => idsOf(second.pipeline.messages).size, 100)
      expect(idsOf(second.pipeline.messages)).toEqual(new Set(rows.map((row) => row.messageId)))
    })

    test('a second stop does nothing, nor does a stop before the start', async () => {
      const { component } = await join()
      await component.stop()
      await component.stop()
      const health = createHealth()
      const unstarted = broker().createConsumer({
        namespace,
        pipeline: recordingPipeline(),
        health,
        consumer: counterConsumer({ transport }),
        logger: createLogger('conformance', 'silent'),
        onCrash: () => undefined,
      })
      await unstarted.stop()
      expect(health.readiness().status).not.toBe('unhealthy')
    })

    test.runIf(promises.groups)('each group gets every message', async () => {
      const one = await join({ group: 'one.kafka' })
      const two = await join({ group: 'two.kafka' })
      const rows = await publish(100)
      const ids = new Set(rows.map((row) => row.messageId))
      for (const { pipeline } of [one, two]) {
        await count(() => idsOf(pipeline.messages).size, 100)
        expect(idsOf(pipeline.messages)).toEqual(ids)
      }
    })

    test('members of a group share the work, and lose none of it when one leaves', async () => {
      const one = await join()
      const two = await join()
      let published = 0
      const feed = async (): Promise<void> => {
        await publish(60, 60)
        published += 60
      }
      await waitFor(
        async () => {
          await feed()
          return one.pipeline.messages.length > 0 && two.pipeline.messages.length > 0
        },
        { message: 'both members handle messages' },
      )
      await two.component.stop()
      await feed()
      const all = (): Set<string> => idsOf([...one.pipeline.messages, ...two.pipeline.messages])
      await count(() => all().size, published)
      expect(two.crashes).toEqual([])
    })

    test('while nothing can be handled the same batch is tried again in place, degraded', async () => {
      const member = await join()
      member.pipeline.refuse = paused
      await publish(30)
      await until(() => member.pipeline.refused >= 3, 'three tries')
      expect(member.health.readiness().status).toBe('degraded')
      expect(member.crashes).toEqual([])
      member.pipeline.refuse = () => undefined
      await count(() => idsOf(member.pipeline.messages).size, 30)
      await until(() => member.health.readiness().status === 'ok', 'health')
      expect(idsOf(member.pipeline.messages).size).toBe(30)
    })
  })
}

function idOf(transport: Transport, message: IncomingMessage): string {
  return message.headers[`${headerPrefix[transport]}id`] ?? ''
}
