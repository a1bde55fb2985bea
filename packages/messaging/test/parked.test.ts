import { outgoing, defineContract } from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { failingStore, useCounterIntake } from './fixtures/counter-intake.ts'
import { addition, composed, delivered } from './fixtures/counter-messages.ts'
import { addedV1, counterStore, openCounterDatabase } from './fixtures/counter-service.ts'

const { service, open, untilQuiet, untilSaid } = useCounterIntake()
const add = (key: string, seq: number, amount = 1) => addition({ key, seq, amount })

describe('a parked message', () => {
  test('is tried again until it succeeds, and leaves nothing behind but its effect', async () => {
    const { store, fail } = failingStore()
    fail.set('a', new Error('not yet'))
    const intake = open({ store, retry: { attemptsMax: 1000 } })
    await intake.take(delivered(add('a', 1)), delivered(add('b', 1)))
    await intake.start()
    await waitFor(() => service().parked(), {
      message: 'it has failed again',
      until: ([row]) => Number(row?.['attempts']) >= 3,
    })
    fail.clear()
    await untilQuiet()
    expect(await service().parked()).toEqual([])
    expect(await service().counter('a')).toMatchObject({ total: 1 })
    expect(await service().appliedTwice()).toEqual([])
    // Nobody was told that it had failed, so nobody is told that it has not.
    expect(await service().said()).toEqual([])
  })

  test('is dead after its attempts, and only then a dead letter', async () => {
    const { store, fail } = failingStore()
    fail.set('a', new Error('never'))
    const intake = open({ store })
    const message = add('a', 1)
    await intake.take(delivered(message))
    await intake.start()
    const [letter] = await untilSaid(1)
    expect(letter).toMatchObject({
      type: 'dead-lettered',
      body: { messageId: message.id, reason: 'attempts-exhausted', attempts: 3 },
    })
    expect(await service().parked()).toMatchObject([{ status: 'dead', attempts: 3 }])
  })

  test('that turns out to be permanent is dead at once', async () => {
    const { store, fail } = failingStore()
    fail.set('a', new Error('maybe later'))
    const intake = open({ store, retry: { attemptsMax: 1000 } })
    await intake.take(delivered(add('a', 1)))
    fail.set('a', new AppError('broken', 'never', { retry: 'permanent' }))
    await intake.start()
    const [letter] = await untilSaid(1)
    expect(letter?.body).toMatchObject({ reason: 'permanent', error: { code: 'broken' } })
  })

  test('uses no attempt while nothing can be handled', async () => {
    const { store, fail } = failingStore()
    fail.set('a', new Error('once'))
    const intake = open({ store, retry: { attemptsMax: 2 } })
    await intake.take(delivered(add('a', 1)))
    let tries = 0
    let hasSaidSo = false
    fail.clear()
    const down = new AppError('circuit-open', 'away', { retry: 'transient-everything' })
    store.load = (tx, keys) => {
      tries += 1
      if (tries <= 2 || !hasSaidSo) throw down
      return counterStore.load(tx, keys)
    }
    await intake.start()
    // For a moment after each try: a run that finds nothing due goes well.
    await waitFor(() => intake.health.readiness().checks['counter-service.kafka.parked']?.status, {
      message: 'it says so',
      until: (status) => status === 'degraded',
      intervalMs: 1,
    })
    hasSaidSo = true
    await untilQuiet()
    expect(tries).toBeGreaterThanOrEqual(3)
    expect(await service().counter('a')).toMatchObject({ total: 1 })
    expect(await service().said()).toEqual([])
  })

  test('of a version that nobody knows is dead after its time, without an attempt', async () => {
    const { destination } = addedV1
    const addedV3 = defineContract({ type: 'counter.added.v3', destination, body: z.object({}) })
    let now = new Date()
    const intake = open({ retry: { unknownVersionMaxMs: 3_600_000 }, now: () => now })
    await intake.take(delivered(composed(outgoing(addedV3, 'v', {}))))
    await intake.start()
    now = new Date(now.getTime() + 3_599_999)
    await waitFor(() => service().parked(), {
      message: 'another look',
      until: ([row]) => Number(row?.['last_failed_at']) > Number(row?.['first_failed_at']),
    })
    expect(await service().said()).toEqual([])
    now = new Date(now.getTime() + 1)
    const [letter] = await untilSaid(1)
    expect(letter?.body).toMatchObject({ reason: 'unknown-version', attempts: 0 })
  })
})

describe('two processes', () => {
  test('that try the same parked messages apply each once', async () => {
    const { store, fail } = failingStore()
    const others = openCounterDatabase(service().db.serviceUrl)
    for (let n = 0; n < 60; n += 1) fail.set(`k${n}`, new Error('not yet'))
    const one = open({ store })
    const two = open({ store, database: others })
    await one.take(...Array.from({ length: 60 }, (_, n) => delivered(add(`k${n}`, 1))))
    fail.clear()
    await Promise.all([one.start(), two.start()])
    await untilQuiet()
    const [sum] = await service().db.query('select sum(total)::int as total from counters')
    expect(sum).toEqual({ total: 60 })
    expect(await service().appliedTwice()).toEqual([])
    expect(await service().parked()).toEqual([])
    await Promise.all([one.stop(), two.stop()])
    await others.end()
  })
})

describe('a consumer that needs the order of a key', () => {
  const order = 'hold-key'

  test('applies a key in its order while one of its messages is retried, and other keys meanwhile', async () => {
    const { store, fail } = failingStore()
    fail.set('k', new Error('not yet'))
    const intake = open({ store, retry: { order, attemptsMax: 1000 } })
    const messages = [1, 2, 3, 4, 5].map((seq) => add('k', seq))
    const [first, second, ...rest] = messages.map((message) => delivered(message))
    if (!first || !second) throw new Error('no messages')
    await intake.take(first, delivered(add('other', 1)), second)
    fail.clear()
    await intake.take(...rest)
    expect(await service().counter('other')).toMatchObject({ total: 1 })
    expect(await service().counter('k')).toBeUndefined()
    const statuses = (await service().parked()).map((row) => row['status'])
    expect(statuses).toEqual(['retrying', 'waiting', 'waiting', 'waiting', 'waiting'])
    await intake.start()
    await untilQuiet()
    expect(await service().counter('k')).toEqual({ total: 5, applied: 5, out_of_order: 0 })
    expect(await service().said()).toEqual([])
  })

  test('holds back what comes behind a message that cannot be read, also in its own batch, and says how much', async () => {
    const intake = open({ retry: { order } })
    const bad = delivered(add('k', 2), { body: '{' })
    await intake.take(delivered(add('k', 1)), bad, delivered(add('k', 3)), delivered(add('k', 4)))
    await intake.take(delivered(add('k', 5)), delivered(add('free', 1)))
    await intake.start()
    expect(await service().counter('k')).toMatchObject({ total: 1 })
    expect(await service().counter('free')).toMatchObject({ total: 1 })
    const said = await service().said()
    expect(said.map(({ type, body }) => [type, body['waiting']])).toEqual([
      ['dead-lettered', undefined],
      ['waiting', 2],
      ['waiting', 3],
    ])
    expect(new Set(said.map(({ body }) => body['messageId'])).size).toBe(1)
  })

  test('tells how many wait when their first one dies of its attempts', async () => {
    const { store, fail } = failingStore()
    fail.set('k', new Error('never'))
    const intake = open({ store, retry: { order } })
    await intake.take(delivered(add('k', 1)), delivered(add('k', 2)), delivered(add('k', 3)))
    expect(await service().said()).toEqual([])
    await intake.start()
    const said = await untilSaid(2)
    expect(said.map(({ type, body }) => [type, body['waiting']])).toEqual([
      ['dead-lettered', undefined],
      ['waiting', 2],
    ])
  })

  test('never holds a key for a message that is too old', async () => {
    const intake = open({ retry: { order } })
    const old = (Date.now() - 10 * 86_400_000).toString(16).padStart(12, '0')
    const id = `${old.slice(0, 8)}-${old.slice(8)}-7000-8000-000000000001`
    const tooOld = delivered(add('k', 1), { headers: { ce_id: id } })
    await intake.take(tooOld, delivered(add('k', 2)))
    expect(await service().counter('k')).toMatchObject({ total: 1 })
    expect(await service().parked()).toMatchObject([{ status: 'dead', reason: 'too-old' }])
  })

  test('keeps the order while batches and the retries of a key race each other', async () => {
    const { store, fail } = failingStore()
    const others = openCounterDatabase(service().db.serviceUrl)
    const feeding = open({ store, retry: { order, attemptsMax: 1000 } })
    const trying = open({ store, retry: { order, attemptsMax: 1000 }, database: others })
    await Promise.all([feeding.start(), trying.start()])
    let seq = 0
    for (let round = 0; round < 30; round += 1) {
      fail.set('k', new Error('not yet'))
      seq += 1
      await feeding.take(delivered(add('k', seq)))
      fail.clear()
      // The retry of the first and these are under way at the same time.
      for (let more = 0; more < 5; more += 1) {
        seq += 1
        await feeding.take(delivered(add('k', seq)))
      }
    }
    await untilQuiet()
    expect(await service().counter('k')).toEqual({ total: seq, applied: seq, out_of_order: 0 })
    expect(await service().appliedTwice()).toEqual([])
    await Promise.all([feeding.stop(), trying.stop()])
    await others.end()
  })
})
