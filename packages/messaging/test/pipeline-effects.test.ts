import { outgoing } from '@edp/event-schemas'
import { type Database, openDatabase, renderMetrics } from '@edp/runtime'
import { seededRandom, untilHandled } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Pipeline } from '../src/index.ts'
import { addition, composed, delivered } from './fixtures/counter-messages.ts'
import { stream, useCounterService } from './fixtures/counter-pipeline.ts'
import {
  counterConsumer,
  counterStore,
  openCounterDatabase,
  renamedV1,
} from './fixtures/counter-service.ts'

const service = useCounterService()

describe('each effect exactly once', () => {
  test('a batch changes a hot row once for each message, in their order', async () => {
    await service().pipeline().handle(stream('hot', 500))
    expect(await service().counter('hot')).toEqual({ total: 500, applied: 500, out_of_order: 0 })
  })

  test('two copies of every message, in one batch and again later, change nothing', async () => {
    const messages = [...stream('a', 50), ...stream('b', 50)]
    const pipeline = service().pipeline()
    await pipeline.handle(messages.flatMap((message) => [message, message]))
    await pipeline.handle(messages.toReversed())
    await pipeline.handle([...messages, ...messages])
    expect(await service().counter('a')).toEqual({ total: 50, applied: 50, out_of_order: 0 })
    expect(await service().counter('b')).toEqual({ total: 50, applied: 50, out_of_order: 0 })
    expect(await service().appliedTwice()).toEqual([])
  })

  test('two processes that get the same messages in other orders and batches apply each once', async () => {
    const random = seededRandom('overlapping batches')
    const messages = Array.from({ length: 600 }, (_, seq) =>
      delivered(addition({ key: `k${seq % 11}`, seq, amount: 1 })),
    )
    const others = openCounterDatabase(service().db.serviceUrl)
    const work = async (pipeline: Pipeline): Promise<void> => {
      const shuffled = messages.toSorted(() => random.next() - 0.5)
      while (shuffled.length > 0) {
        const batch = shuffled.splice(0, 1 + random.below(60))
        await untilHandled(() => pipeline.handle(batch))
      }
    }
    await Promise.all([
      work(service().pipeline()),
      work(service().pipeline({ database: others })),
      work(service().pipeline()),
    ])
    await others.end()
    expect(await service().db.query('select sum(total)::int as total from counters')).toEqual([
      { total: 600 },
    ])
    expect(await service().appliedTwice()).toEqual([])
  })

  test('two consumers of one database each apply every message', async () => {
    const messages = stream('shared', 10)
    await service().pipeline().handle(messages)
    await service()
      .pipeline({ consumer: counterConsumer({ name: 'other.kafka' }) })
      .handle(messages)
    expect(await service().counter('shared')).toMatchObject({ total: 20 })
  })
})

describe('what a batch sends', () => {
  test('answers go out with the effect, in order, with the message that caused them', async () => {
    const messages = [1, 2, 3].map((seq) => addition({ key: 'e', seq, amount: seq, echo: true }))
    await service()
      .pipeline()
      .handle(messages.map((message) => delivered(message)))
    const rows = await service().db.query(
      'select payload, headers, destination from outbox order by id',
    )
    expect(rows.map(({ payload }) => payload)).toEqual([
      { key: 'e', total: 1 },
      { key: 'e', total: 3 },
      { key: 'e', total: 6 },
    ])
    expect(rows.map(({ headers }) => z.looseObject({}).parse(headers)['ce_causationid'])).toEqual(
      messages.map(({ id }) => id),
    )
    expect(rows[0]?.['destination']).toBe('test.counter.echoes')
  })

  test('a batch that rolls back sends nothing and changes nothing', async () => {
    const answer = addition({ key: 'e', seq: 1, amount: 1, echo: true })
    const bad = addition({ key: 'e', seq: 2, amount: -100, echo: true })
    await service()
      .pipeline()
      .handle([delivered(bad)])
    const echoes = "select key from outbox where type = 'counter.echoed.v1'"
    expect(await service().db.query(echoes)).toEqual([])
    expect(await service().counter('e')).toBeUndefined()
    await service()
      .pipeline()
      .handle([delivered(answer)])
    expect(await service().db.query(echoes)).toEqual([{ key: 'e' }])
  })
})

describe('what is not for this consumer', () => {
  test('an unknown type of fact is skipped and counted, in any version and however broken', async () => {
    const before = await counted('skipped')
    const renamed = composed(outgoing(renamedV1, 'r', { key: 'r', name: 'new' }))
    await service()
      .pipeline()
      .handle([
        delivered(renamed),
        delivered(renamed, { headers: { ce_type: 'counter.renamed.v9' } }),
        delivered(renamed, { body: 'not JSON', headers: { ce_id: 'no id' } }),
      ])
    expect((await counted('skipped')) - before).toBe(3)
    expect(await service().db.query('select * from inbox')).toEqual([])
  })

  test('a message of the other style of saga is skipped before the inbox', async () => {
    const consumer = counterConsumer({ only: 'orchestrated' })
    const choreographed = addition({ key: 's', seq: 1, amount: 1 })
    const orchestrated = addition(
      { key: 's', seq: 2, amount: 10 },
      { coordination: 'orchestrated' },
    )
    await service()
      .pipeline({ consumer })
      .handle([delivered(choreographed), delivered(orchestrated)])
    expect(await service().counter('s')).toMatchObject({ total: 10 })
    expect(await service().db.query('select message_id from inbox')).toEqual([
      { message_id: orchestrated.id },
    ])
  })

  test('applied and duplicate messages are counted after their commit', async () => {
    const [applied, duplicate] = [await counted('applied'), await counted('duplicate')]
    const messages = stream('counted', 4)
    const pipeline = service().pipeline()
    await pipeline.handle([...messages, ...messages])
    await pipeline.handle([delivered(addition({ key: 'q', seq: 1, amount: -1 }))])
    expect((await counted('applied')) - applied).toBe(4)
    expect((await counted('duplicate')) - duplicate).toBe(4)
  })

  async function counted(result: string): Promise<number> {
    const { body } = await renderMetrics()
    const sample = `edp_consumer_messages_total{consumer="counter-service.kafka",result="${result}"} `
    const line = body.split('\n').find((text) => text.startsWith(sample))
    return Number(line?.slice(sample.length) ?? 0)
  }
})

describe('around the transaction', () => {
  test('one batch locks a row once, with all keys sorted, whatever the types', async () => {
    const loads: (readonly string[])[] = []
    const consumer = counterConsumer({
      store: {
        ...counterStore,
        load: (tx, keys) => {
          loads.push(keys.counters)
          return counterStore.load(tx, keys)
        },
      },
    })
    const batch = [...stream('z', 3), ...stream('a', 3), ...stream('m', 3), ...stream('a', 3)]
    await service().pipeline({ consumer }).handle(batch)
    expect(loads).toEqual([['a', 'm', 'z']])
  })

  test('what was read for a message that was applied before is not kept, though reading it wrote a row', async () => {
    const messages = stream('gone', 3)
    const pipeline = service().pipeline()
    await pipeline.handle(messages)
    await service().db.query('delete from counters')
    await pipeline.handle(messages)
    expect(await service().db.query('select key from counters')).toEqual([])
  })

  test('a batch of new messages is one transaction; a second one sorts out those that are not, once until all are new again', async () => {
    let transactions = 0
    const { database } = service()
    const counting: Pick<Database, 'transaction' | 'ping'> = {
      ping: () => database.ping(),
      transaction: (work) => {
        transactions += 1
        return database.transaction(work)
      },
    }
    const pipeline = service().pipeline({ database: counting })
    const [first, second, ...others] = stream('n', 6)
    const taken: number[] = []
    for (const batch of [[first], [first, second], [first], [second], others.slice(0, 2), others]) {
      transactions = 0
      await pipeline.handle(batch.flatMap((message) => message ?? []))
      taken.push(transactions)
    }
    expect(taken).toEqual([1, 2, 1, 1, 1, 2])
    expect(await service().counter('n')).toMatchObject({ total: 6, applied: 6 })
  })

  test('afterCommit is told what changed, once it can be seen, and cannot fail the batch', async () => {
    const seen: unknown[] = []
    const told: string[][] = []
    const consumer = {
      ...counterConsumer(),
      afterCommit: (changed: { counters: readonly { key: string }[] }) => {
        told.push(changed.counters.map(({ key }) => key))
        seen.push(service().counter('n'))
        throw new Error('a waker that fails')
      },
    }
    const messages = stream('n', 3)
    const pipeline = service().pipeline({ consumer })
    await pipeline.handle(messages)
    await pipeline.handle(messages)
    expect(told).toEqual([['n']])
    expect(await Promise.all(seen)).toMatchObject([{ total: 3 }])
  })

  test('an empty batch opens no transaction', async () => {
    const closed = {
      transaction: () => Promise.reject(new Error('opened')),
      ping: () => service().database.ping(),
    }
    await expect(service().pipeline({ database: closed }).handle([])).resolves.toBeUndefined()
  })

  test('a consumer is ready once its Postgres answers', async () => {
    await service().pipeline().ready()
    const nowhere = openDatabase({ url: 'postgres://x@127.0.0.1:1/x', applicationName: 'nowhere' })
    await expect(service().pipeline({ database: nowhere }).ready()).rejects.toThrow(/ECONNREFUSED/)
    await nowhere.end()
  })
})
