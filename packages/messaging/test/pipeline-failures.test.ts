import { randomBytes } from 'node:crypto'
import { defineContract, outgoing } from '@edp/event-schemas'
import { AppError, openDatabase } from '@edp/runtime'
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
const { destination } = addedV1
const addedV2 = defineContract({ type: 'counter.added.v2', destination, body: z.object({}) })
const longText = () => randomBytes(10_000).toString('hex')
const tooLong = () => JSON.stringify({ key: 'x'.repeat(1024 * 1024) })

describe('a message that fails', () => {
  test('fails alone: the others of its batch are applied, and it is parked to be tried again', async () => {
    const good = [...stream('a', 20), ...stream('b', 20)]
    const bad = addition({ key: 'a', seq: 99, amount: 1, fail: 'no such thing' })
    const batch = [...good.slice(0, 20), delivered(bad), ...good.slice(20)]
    await service().pipeline().handle(batch)
    expect(await service().counter('a')).toMatchObject({ total: 20 })
    expect(await service().counter('b')).toMatchObject({ total: 20 })
    expect(await service().parked()).toMatchObject([
      {
        consumer: 'counter-service.kafka',
        message_id: bad.id,
        key: 'a',
        type: 'counter.added.v1',
        status: 'retrying',
        attempts: 1,
        reason: 'permanent',
        error_message: 'no such thing',
        body: Buffer.from(bad.payload),
        headers: bad.headers,
        dead_lettered_at: null,
      },
    ])
    expect(await service().said()).toEqual([])
  })

  test('a check constraint is permanent: dead at once is only the message that breaks it', async () => {
    const bad = addition({ key: 'z', seq: 1, amount: -1 })
    await service()
      .pipeline()
      .handle([...stream('a', 3), delivered(bad)])
    expect(await service().counter('a')).toMatchObject({ total: 3 })
    expect(await service().counter('z')).toBeUndefined()
    expect(await service().parked()).toMatchObject([{ message_id: bad.id, status: 'dead' }])
    const [letter] = await service().said()
    expect(letter).toMatchObject({
      type: 'dead-lettered',
      body: {
        consumer: 'counter-service.kafka',
        messageId: bad.id,
        source: 'kafka',
        type: 'counter.added.v1',
        key: 'z',
        correlationId: 'z',
        reason: 'permanent',
        error: { code: '23514' },
        attempts: 1,
        content: { body: bad.payload, encoding: 'utf8', bytes: bad.payload.length },
        redriveId: null,
      },
      headers: { ce_subject: bad.id, ce_causationid: bad.id, ce_coordination: 'choreographed' },
    })
  })

  test('is parked no sooner than it was asked to wait for', async () => {
    const busy = new AppError('gateway-busy', 'later', {
      retry: 'transient-message',
      retryAfterMs: 60_000,
    })
    const consumer = counterConsumer({
      store: { ...counterStore, load: () => Promise.reject(busy) },
    })
    await service().pipeline({ consumer }).handle(stream('busy', 1))
    const [row] = await service().db.query(
      'select error_code, extract(epoch from next_attempt_at - now())::int as wait from parked_message',
    )
    expect(row).toMatchObject({ error_code: 'gateway-busy' })
    expect(Number(row?.['wait'])).toBeGreaterThan(50)
  })

  test('is a duplicate when it comes again while it is parked, dead or not', async () => {
    const retrying = delivered(addition({ key: 'r', seq: 1, amount: 1, fail: 'again' }))
    const dead = delivered(addition({ key: 'd', seq: 1, amount: -1 }))
    const poison = delivered(addition({ key: 'p', seq: 1, amount: 1 }), { body: '{' })
    const batch = [retrying, dead, poison]
    await service().pipeline().handle(batch)
    const [parked, said] = [await service().parked(), await service().said()]
    await service().pipeline().handle(batch)
    await service()
      .pipeline()
      .handle([...batch, ...batch])
    expect(await service().parked()).toEqual(parked)
    expect(await service().said()).toEqual(said)
    expect(said).toHaveLength(2)
  })
})

describe('what cannot be read', () => {
  const whole = () => addition({ key: 'p', seq: 1, amount: 1 })
  const idAt = (time: number) =>
    `${time
      .toString(16)
      .padStart(12, '0')
      .replace(/(.{8})/, '$1-')}-7000-8000-000000000001`
  const change = (headers: Record<string, string | undefined>) => () =>
    delivered(whole(), { headers })

  test.each<[string, string, () => IncomingMessage]>([
    ['a body that is not JSON', 'poison', () => delivered(whole(), { body: '{"key":' })],
    ['a body with a NUL', 'poison', () => delivered(whole(), { body: '{"key":"\0"}' })],
    ['a body against its schema', 'poison', () => delivered(whole(), { body: '{"key":1}' })],
    ['a body above the limit', 'poison', () => delivered(whole(), { body: tooLong() })],
    ['no type', 'poison', change({ ce_type: undefined })],
    ['a type without a version', 'poison', change({ ce_type: 'x' })],
    ['no id', 'poison', change({ ce_id: undefined })],
    [
      'an id that is no uuid v7',
      'poison',
      change({ ce_id: 'd9428888-122b-11e1-b85c-61cd3cbb3210' }),
    ],
    ['an id more than a day ahead', 'poison', change({ ce_id: idAt(Date.now() + 1.1 * aDayMs) })],
    [
      'an id that the inbox has forgotten',
      'too-old',
      change({ ce_id: idAt(Date.now() - 9.1 * aDayMs) }),
    ],
    ['a header with a NUL', 'poison', change({ ce_subject: '\0', ce_id: '\0' })],
    [
      'a subject longer than an index takes',
      'poison',
      change({ ce_subject: longText(), ce_id: '' }),
    ],
  ])(
    '%s is dead at once, with its bytes, and the rest of its batch is applied',
    async (_, reason, make) => {
      const bad = make()
      const batch = [bad, ...stream('good', 5), bad]
      await service().pipeline().handle(batch)
      await service().pipeline().handle(batch)
      expect(await service().counter('good')).toMatchObject({ total: 5 })
      expect(await service().parked()).toMatchObject([
        { status: 'dead', reason, body: Buffer.from(bad.body), position: bad.position },
      ])
      const [letter, ...others] = await service().said()
      expect(letter).toMatchObject({
        type: 'dead-lettered',
        body: { reason, position: bad.position },
      })
      expect(others).toEqual([])
      const [row] = await service().db.query('select count(*)::int as rows from inbox')
      expect(row).toEqual({ rows: 6 })
    },
  )

  test('a version that is not known yet is parked without an attempt, for a process that knows it', async () => {
    await service()
      .pipeline()
      .handle([delivered(composed(outgoing(addedV2, 'v', {})))])
    expect(await service().parked()).toMatchObject([
      { status: 'retrying', attempts: 0, reason: 'unknown-version', type: 'counter.added.v2' },
    ])
    expect(await service().said()).toEqual([])
  })

  test('an id in upper case is known by its lower case, and applied once', async () => {
    const message = addition({ key: 'upper', seq: 1, amount: 1 })
    const upper = delivered(message, { headers: { ce_id: message.id.toUpperCase() } })
    await service().pipeline().handle([upper])
    await service()
      .pipeline()
      .handle([delivered(message), upper])
    expect(await service().counter('upper')).toMatchObject({ total: 1 })
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
    await service().pipeline().handle(batch)
    expect(await service().db.query('select sum(total)::int as total from counters')).toEqual([
      { total: 6 },
    ])
  })
})
