import { defineContract, outgoing } from '@edp/event-schemas'
import { openDatabase } from '@edp/runtime'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { IncomingMessage } from '../src/index.ts'
import { addition, composed, delivered } from './fixtures/counter-messages.ts'
import { failureOf, stream, useCounterService } from './fixtures/counter-pipeline.ts'
import {
  addedV1,
  counterConsumer,
  counterStore,
  openCounterDatabase,
} from './fixtures/counter-service.ts'

const service = useCounterService()
const aDayMs = 24 * 60 * 60 * 1000

describe('a message that fails', () => {
  test('fails alone: the others of its batch are applied, and the error names its position', async () => {
    const good = [...stream('a', 20), ...stream('b', 20)]
    const bad = delivered(addition({ key: 'a', seq: 99, amount: 1, fail: 'no such thing' }))
    const batch = [...good.slice(0, 20), bad, ...good.slice(20)]
    const error = await failureOf(service().pipeline().handle(batch))
    expect(error).toMatchObject({ code: 'message-failed', retry: 'permanent' })
    expect(error.message).toContain(bad.position)
    expect(error.message).toContain('no such thing')
    expect(await service().counter('a')).toMatchObject({ total: 20 })
    expect(await service().counter('b')).toMatchObject({ total: 20 })
  })

  test('a check constraint is permanent and fails only the message that breaks it', async () => {
    const batch = [...stream('a', 3), delivered(addition({ key: 'z', seq: 1, amount: -1 }))]
    const error = await failureOf(service().pipeline().handle(batch))
    expect(error.retry).toBe('permanent')
    expect(await service().counter('a')).toMatchObject({ total: 3 })
    expect(await service().counter('z')).toBeUndefined()
  })

  test('an unknown error of the handler is tried again before it stops the consumer', async () => {
    let failures = 2
    const flaky = counterConsumer({
      store: {
        ...counterStore,
        load: (tx, keys) => {
          if (failures-- > 0) throw new Error('not this time')
          return counterStore.load(tx, keys)
        },
      },
    })
    await service().pipeline({ consumer: flaky }).handle(stream('flaky', 1))
    expect(await service().counter('flaky')).toMatchObject({ total: 1 })
  })
})

describe('what cannot be read', () => {
  const whole = () => addition({ key: 'p', seq: 1, amount: 1 })
  const { destination } = addedV1
  const addedV2 = defineContract({ type: 'counter.added.v2', destination, body: z.object({}) })
  const idAt = (time: number) =>
    `${time
      .toString(16)
      .padStart(12, '0')
      .replace(/(.{8})/, '$1-')}-7000-8000-000000000001`

  test.each<[string, string, () => IncomingMessage]>([
    ['a body that is not JSON', 'poison', () => delivered(whole(), { body: '{"key":' })],
    ['a body against its schema', 'poison', () => delivered(whole(), { body: '{"key":1}' })],
    ['no type', 'poison', () => delivered(whole(), { headers: { ce_type: undefined } })],
    ['a type without a version', 'poison', () => delivered(whole(), { headers: { ce_type: 'x' } })],
    ['no id', 'poison', () => delivered(whole(), { headers: { ce_id: undefined } })],
    [
      'an id that is no uuid v7',
      'poison',
      () => delivered(whole(), { headers: { ce_id: 'd9428888-122b-11e1-b85c-61cd3cbb3210' } }),
    ],
    [
      'an id more than a day ahead',
      'poison',
      () => delivered(whole(), { headers: { ce_id: idAt(Date.now() + 1.1 * aDayMs) } }),
    ],
    [
      'an id that the inbox has forgotten',
      'too-old',
      () => delivered(whole(), { headers: { ce_id: idAt(Date.now() - 9.1 * aDayMs) } }),
    ],
    [
      'a version that this process does not know',
      'unknown-version',
      () => delivered(composed(outgoing(addedV2, 'p', {}))),
    ],
  ])('%s stops the consumer loudly after the rest of its batch', async (_, code, make) => {
    const bad = make()
    const error = await failureOf(
      service()
        .pipeline()
        .handle([bad, ...stream('good', 5), bad]),
    )
    expect(error).toMatchObject({ code, retry: 'permanent' })
    expect(error.message).toContain(bad.position)
    expect(await service().counter('good')).toMatchObject({ total: 5 })
    expect(await service().db.query('select count(*)::int as rows from inbox')).toEqual([
      { rows: 5 },
    ])
  })
})

describe('nothing can be handled now', () => {
  test('a lock that is not free in time pauses, uses no attempt and leaves nothing behind', async () => {
    await service().pipeline().handle(stream('locked', 1))
    const impatient = openDatabase({
      url: service().db.serviceUrl,
      applicationName: 'impatient',
      lockTimeoutMs: 100,
    })
    const holder = openCounterDatabase(service().db.serviceUrl)
    const locked = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    const held = holder.transaction(async (tx) => {
      await counterStore.load(tx, { counters: ['locked'], applied: [] })
      locked.resolve()
      await released.promise
    })
    const more = [...stream('locked', 5), ...stream('free', 5)]
    await locked.promise
    const error = await failureOf(service().pipeline({ database: impatient }).handle(more))
    expect(error).toMatchObject({ code: 'paused', retry: 'transient-everything' })
    expect(await service().counter('free')).toBeUndefined()
    released.resolve()
    await held
    await service().pipeline({ database: impatient }).handle(more)
    expect(await service().counter('free')).toMatchObject({ total: 5 })
    await Promise.all([impatient.end(), holder.end()])
  })

  test('an inbox without a partition for a message pauses, since the upkeep is late', async () => {
    await service().db.query('alter table inbox detach partition inbox_all')
    const messages = stream('late', 5)
    try {
      const error = await failureOf(service().pipeline().handle(messages))
      expect(error).toMatchObject({ code: 'paused', retry: 'transient-everything' })
    } finally {
      await service().db.query(
        'alter table inbox attach partition inbox_all for values from (minvalue) to (maxvalue)',
      )
    }
    await service().pipeline().handle(messages)
    expect(await service().counter('late')).toMatchObject({ total: 5 })
  })

  test('a lost connection pauses, and the batch is applied when it is handed in again', async () => {
    const admin = openDatabase({ url: service().db.adminUrl, applicationName: 'admin' })
    let cuts = 0
    const consumer = counterConsumer({
      store: {
        ...counterStore,
        save: async (tx, changed, sent) => {
          await counterStore.save(tx, changed, sent)
          if (cuts > 0) return
          const { rowCount } = await admin.reads.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name = 'counter-service'
               and xact_start is not null`,
          )
          cuts += rowCount ?? 0
        },
      },
    })
    const messages = stream('cut', 5)
    const pipeline = service().pipeline({ consumer })
    expect((await failureOf(pipeline.handle(messages))).retry).toBe('transient-everything')
    expect(cuts).toBeGreaterThan(0)
    expect(await service().counter('cut')).toBeUndefined()
    await pipeline.handle(messages)
    expect(await service().counter('cut')).toMatchObject({ total: 5 })
    await admin.end()
  })

  test('a signal ends the one-by-one handling between two messages; the rest comes again', async () => {
    const stop = new AbortController()
    const consumer = counterConsumer({
      store: {
        ...counterStore,
        load: (tx, keys) => {
          if (keys.counters.includes('s3')) stop.abort(new Error('rebalance'))
          return counterStore.load(tx, keys)
        },
      },
    })
    const bad = delivered(addition({ key: 'bad', seq: 1, amount: 1, fail: 'always' }))
    const good = Array.from({ length: 6 }, (_, index) =>
      delivered(addition({ key: `s${index}`, seq: 1, amount: 1 })),
    )
    const batch = [...good, bad]
    const error = await failureOf(service().pipeline({ consumer }).handle(batch, stop.signal))
    expect(error.retry).toBe('transient-everything')
    expect(await failureOf(service().pipeline().handle(batch))).toMatchObject({
      code: 'message-failed',
    })
    expect(await service().db.query('select sum(total)::int as total from counters')).toEqual([
      { total: 6 },
    ])
  })
})
