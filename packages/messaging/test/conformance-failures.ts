import {
  type ComposedMessage,
  defineContract,
  headerPrefix,
  outgoing,
  type Transport,
} from '@edp/event-schemas'
import type { OutboxRow, Publisher } from '@edp/outbox'
import { AppError, type Component, createHealth, createLogger } from '@edp/runtime'
import { uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ConsumingBroker } from './conformance-consumer.ts'
import {
  type CounterIntakeOptions,
  failingStore,
  useCounterIntake,
} from './fixtures/counter-intake.ts'
import { addition, composed } from './fixtures/counter-messages.ts'
import { addedV1, addV1, outboxRows } from './fixtures/counter-service.ts'

/** What a topic and a queue do differently with what nobody here handles, and what each delivery of a nameless message is. */
const promisesOf = {
  kafka: { unknownType: 'skipped', copies: 'each record is one of its own', key: 'unsigned' },
  rabbitmq: { unknownType: 'dead', copies: 'the same bytes are the same message', key: null },
} as const

const aDayMs = 24 * 60 * 60 * 1000

interface Case {
  readonly name: string
  readonly status: 'dead' | 'retrying'
  readonly reason: string
  /** Of a good addition what fails. */
  readonly make: (good: ComposedMessage) => ComposedMessage
}

/** Every class of failure, over every broker: nothing is lost, nothing stops, and the others are applied. */
export function describeFailures(
  name: string,
  transport: Transport,
  broker: () => ConsumingBroker,
): void {
  const prefix = headerPrefix[transport]
  const contract = transport === 'kafka' ? addedV1 : addV1
  const idAt = (ms: number): string => {
    const time = ms.toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000001`
  }
  const header = (attribute: string, value: string) => (good: ComposedMessage) => ({
    ...good,
    headers: { ...good.headers, [prefix + attribute]: value },
  })
  const body = (payload: string) => (good: ComposedMessage) => ({ ...good, payload })
  const cases: readonly Case[] = [
    { name: 'no JSON', status: 'dead', reason: 'poison', make: body('{"key":') },
    { name: 'against its schema', status: 'dead', reason: 'poison', make: body('{"key":1}') },
    { name: 'no type', status: 'dead', reason: 'poison', make: header('type', '') },
    { name: 'no version', status: 'dead', reason: 'poison', make: header('type', 'x') },
    { name: 'no id', status: 'dead', reason: 'poison', make: header('id', 'x') },
    {
      name: 'an id from the future',
      status: 'dead',
      reason: 'poison',
      make: header('id', idAt(Date.now() + 3 * aDayMs)),
    },
    {
      name: 'too old',
      status: 'dead',
      reason: 'too-old',
      make: header('id', idAt(Date.now() - 20 * aDayMs)),
    },
    {
      name: 'a broken constraint',
      status: 'dead',
      reason: 'permanent',
      make: body('{"key":"minus","seq":1,"amount":-1}'),
    },
    {
      name: 'a version to come',
      status: 'retrying',
      reason: 'unknown-version',
      make: header('type', 'counter.added.v2'),
    },
    {
      name: 'an error of the handler',
      status: 'retrying',
      reason: 'permanent',
      make: body('{"key":"fails","seq":1,"amount":1,"fail":"no"}'),
    },
  ]

  describe(`what fails over ${name}`, () => {
    const { service, open, untilQuiet } = useCounterIntake()
    let publisher: Publisher & Component
    let namespace: string
    let running: Component[] = []

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
      await Promise.all(running.map((component) => component.stop()))
      running = []
      await broker().cleanUp?.(namespace)
    })

    const join = async (options: CounterIntakeOptions = {}) => {
      const counting = open({ transport, ...options })
      const health = createHealth()
      const crashes: AppError[] = []
      const component = broker().createConsumer({
        ...counting.intake.of(counting.consumer),
        namespace,
        health,
        logger: createLogger('conformance', process.env['LOG_LEVEL'] ?? 'silent'),
        onCrash: (error) => crashes.push(error),
        lingerMsMax: 0,
      })
      running.push(component)
      await component.start()
      const check = () => health.readiness().checks[counting.consumer.name]
      return { counting, component, crashes, check }
    }

    const publish = async (messages: readonly ComposedMessage[]): Promise<OutboxRow[]> => {
      const rows = outboxRows(messages)
      expect(await publisher.publish(rows)).toEqual(rows.map(() => undefined))
      return rows
    }

    let seq = 0
    const good = (key = 'good'): ComposedMessage => {
      seq += 1
      return addition({ key, seq, amount: 1 }, { namespace, transport })
    }

    const untilTotal = (key: string, total: number): Promise<unknown> =>
      waitFor(() => service().counter(key), {
        message: `${total} of ${key}`,
        until: (row) => z.object({ total: z.number() }).safeParse(row).data?.total === total,
      })

    /** A message that comes behind everything: then all before it is handled, and acknowledged or not. */
    const untilPassed = async (): Promise<void> => {
      const last = Array.from({ length: 30 }, (_, n) => good(`last-${n}`))
      await publish(last)
      for (let n = 0; n < last.length; n += 1) await untilTotal(`last-${n}`, 1)
    }

    test('each class is parked as it should be, once, and everything else is applied', async () => {
      const failing = cases.map((one) => one.make(good(one.name)))
      await publish(failing.flatMap((bad) => [good(), bad, good()]))
      const { component, crashes, check } = await join()
      await untilTotal('good', 2 * cases.length)
      await untilPassed()
      const parked = (await service().parked()).map((row) => outcomeOf(row))
      const expected = cases.map((row) => outcomeOf(row))
      expect(parked.toSorted()).toEqual(expected.toSorted())
      const dead = cases.filter(({ status }) => status === 'dead')
      const letters = (await service().said()).map(({ body: letter }) => letter)
      expect(letters.map(({ reason }) => String(reason)).toSorted()).toEqual(
        dead.map(({ reason }) => reason).toSorted(),
      )
      for (const letter of letters) {
        expect(letter).toMatchObject({
          source: transport,
          consumer: `counter-service.${transport}`,
        })
      }
      expect(crashes).toEqual([])
      expect(check()).toEqual({ status: 'ok' })
      await component.stop()
      // All of it was acknowledged: it does not come again.
      const before = await service().parked()
      await join()
      await untilTotal('good', 2 * cases.length)
      await publish([good('after')])
      await untilTotal('after', 1)
      expect(await service().parked()).toEqual(before)
      expect(await service().appliedTwice()).toEqual([])
    })

    test(`a type that nobody here handles is ${promisesOf[transport].unknownType}`, async () => {
      const renamed = defineContract({
        type: 'counter.renamed.v1',
        destination: contract.destination,
        body: z.object({}),
      })
      await publish([composed(outgoing(renamed, 'r', {}), { namespace, transport }), good()])
      await join()
      await untilTotal('good', 1)
      await untilPassed()
      const isDead = promisesOf[transport].unknownType === 'dead'
      const reasons = (await service().parked()).map(({ reason }) => reason)
      expect(reasons).toEqual(isDead ? ['unknown-type'] : [])
    })

    test(`a message without an id: ${promisesOf[transport].copies}`, async () => {
      const nameless = header('id', '')(good())
      await publish([nameless, nameless])
      await join()
      await untilPassed()
      const copies = transport === 'kafka' ? 2 : 1
      expect(await service().parked()).toHaveLength(copies)
      expect(await service().said()).toHaveLength(copies)
    })

    test(`a message whose headers do not say what orders it has the key ${promisesOf[transport].key}`, async () => {
      await publish([header('subject', '')(good('unsigned'))])
      await join()
      await untilPassed()
      const letters = (await service().said()).map(({ body: letter }) => letter)
      expect(letters).toMatchObject([{ reason: 'poison', key: promisesOf[transport].key }])
    })

    test('a message that fails for a while is applied once it does not, with nothing left behind', async () => {
      const { store, fail } = failingStore()
      fail.set('later', new Error('not yet'))
      const { counting } = await join({ store, retry: { attemptsMax: 1000 } })
      await publish([good('later'), good('now')])
      await untilTotal('now', 1)
      await waitFor(() => service().parked(), {
        message: 'it is parked',
        until: (p) => p.length === 1,
      })
      await counting.start()
      fail.clear()
      await untilQuiet()
      expect(await service().counter('later')).toMatchObject({ total: 1 })
      expect([await service().parked(), await service().said()]).toEqual([[], []])
    })

    test('while nothing can be handled nothing is parked, whatever is in the batch', async () => {
      const { store, fail } = failingStore()
      fail.set('any', new AppError('circuit-open', 'away', { retry: 'transient-everything' }))
      const { check } = await join({ store })
      await publish([good('any'), body('{')(good('bad'))])
      // Before it consumes it is degraded too.
      await waitFor(() => check()?.detail?.startsWith('paused'), { message: 'it is paused' })
      expect(check()?.status).toBe('degraded')
      expect(await service().counter('any')).toBeUndefined()
      fail.clear()
      await untilTotal('any', 1)
      await untilPassed()
      expect(await service().parked()).toMatchObject([{ status: 'dead', reason: 'poison' }])
    })
  })
}

function outcomeOf(row: { readonly status?: unknown; readonly reason?: unknown }): string {
  return `${String(row.status)} ${String(row.reason)}`
}
