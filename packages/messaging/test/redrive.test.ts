import { AppError } from '@edp/runtime'
import { waitFor } from '@edp/testkit'
import { describe, expect, test } from 'vitest'
import type { DueWork } from '../src/index.ts'
import { discardOf, failingStore, redriveOf, useCounterIntake } from './fixtures/counter-intake.ts'
import { addition, delivered } from './fixtures/counter-messages.ts'
import { addedV1, counterStore } from './fixtures/counter-service.ts'

const { service, open, untilQuiet, untilSaid } = useCounterIntake()
const add = (key: string, seq: number, amount = 1) => addition({ key, seq, amount })
const broken = new AppError('broken', 'not with this code', { retry: 'permanent' })

function outcomes(said: readonly { type: string; body: Record<string, unknown> }[]): unknown[] {
  return said.map(({ type, body }) => (type === 'resolved' ? body['outcome'] : type))
}

describe('a dead message that is redriven', () => {
  test('is applied once, however often it is redriven and delivered again, and its letter is resolved', async () => {
    const { store, fail } = failingStore()
    fail.set('a', broken)
    const intake = open({ store })
    const message = add('a', 1)
    await intake.take(delivered(message))
    fail.clear()
    await intake.take(delivered(message))
    expect(await service().counter('a')).toBeUndefined()
    const command = redriveOf(message.id)
    await intake.command(command, command, redriveOf(message.id))
    await intake.command(command)
    await intake.start()
    await untilQuiet()
    await intake.take(delivered(message))
    await intake.command(redriveOf(message.id))
    expect(await service().counter('a')).toMatchObject({ total: 1 })
    expect(await service().appliedTwice()).toEqual([])
    expect(await service().parked()).toEqual([])
    const said = await service().said()
    expect(outcomes(said)).toEqual(['dead-lettered', 'applied', 'already-applied'])
    expect(new Set(said.map(({ body }) => body['messageId']))).toEqual(new Set([message.id]))
  })

  test('begins its attempts anew, and says again that it is dead, with the redrive that failed', async () => {
    const { store, fail } = failingStore()
    fail.set('a', broken)
    const intake = open({ store })
    const message = add('a', 1)
    await intake.take(delivered(message))
    fail.set('a', new Error('still'))
    const redriveId = crypto.randomUUID()
    await intake.command(redriveOf(message.id, { redriveId }))
    await intake.start()
    const [first, second] = await untilSaid(2)
    expect(first?.body).toMatchObject({ reason: 'permanent', redriveId: null, attempts: 1 })
    expect(second?.body).toMatchObject({ reason: 'attempts-exhausted', redriveId, attempts: 3 })
    expect(second?.body['firstFailedAt']).toBe(first?.body['firstFailedAt'])
  })

  test('with a corrected body is applied as corrected, and checked again before', async () => {
    const intake = open()
    const message = add('a', 1)
    await intake.take(delivered(message, { body: '{"key":"a"}' }))
    await intake.start()
    await intake.command(redriveOf(message.id, { body: '{"key":"a","seq":"1"}' }))
    await untilSaid(2)
    expect(await service().counter('a')).toBeUndefined()
    const body = JSON.stringify({ key: 'a', seq: 1, amount: 7 })
    await intake.command(redriveOf(message.id, { body }))
    const said = await untilSaid(3)
    expect(outcomes(said)).toEqual(['dead-lettered', 'dead-lettered', 'applied'])
    expect(await service().counter('a')).toMatchObject({ total: 7 })
  })

  test('of another service is refused, as a dead letter of its own', async () => {
    const intake = open()
    const command = redriveOf(crypto.randomUUID(), { consumer: 'payment-service.kafka' })
    await intake.command(command)
    const [letter] = await service().said()
    expect(letter?.body).toMatchObject({
      consumer: 'inventory-service.redrive',
      messageId: command.id,
      error: { code: 'unknown-consumer' },
    })
  })
})

describe('a key that is held by a dead message', () => {
  test('goes on in its order when that is corrected and redriven', async () => {
    const intake = open({ retry: { order: 'hold-key' } })
    const poison = add('k', 2)
    await intake.start()
    await intake.take(
      delivered(add('k', 1)),
      delivered(poison, { body: '{' }),
      delivered(add('k', 3)),
    )
    await intake.take(delivered(add('k', 4)), delivered(add('k', 5)))
    expect(await service().counter('k')).toMatchObject({ total: 1 })
    const body = JSON.stringify({ key: 'k', seq: 2, amount: 1 })
    await intake.command(redriveOf(poison.id, { body }))
    await untilQuiet()
    expect(await service().counter('k')).toEqual({ total: 5, applied: 5, out_of_order: 0 })
  })

  test('goes on without it when it is discarded, once and for all', async () => {
    const intake = open({ retry: { order: 'hold-key' } })
    const poison = delivered(add('k', 1), { body: '{' })
    await intake.start()
    await intake.take(poison, delivered(add('k', 2)), delivered(add('k', 3)))
    const [head] = await service().parked()
    const discard = discardOf(String(head?.['message_id']))
    await intake.command(discard, discard)
    await untilQuiet()
    await intake.take(poison)
    expect(await service().parked()).toEqual([])
    expect(await service().counter('k')).toEqual({ total: 2, applied: 2, out_of_order: 0 })
    expect(outcomes(await service().said())).toEqual(['dead-lettered', 'waiting', 'discarded'])
  })
})

describe('a letter whose consumer has the message no more', () => {
  const withMessage = (message: ReturnType<typeof add>) => ({
    message: {
      headers: { ...message.headers, 'x-death': 'the copy that died' },
      body: message.payload,
      encoding: 'utf8' as const,
    },
  })

  test('is applied from the letter, once', async () => {
    const intake = open()
    await intake.start()
    const message = add('a', 1)
    await intake.command(redriveOf(message.id, withMessage(message)))
    await untilSaid(1)
    await intake.command(redriveOf(message.id, withMessage(message)))
    await intake.take(delivered(message))
    expect(outcomes(await service().said())).toEqual(['applied', 'already-applied'])
    expect(await service().counter('a')).toMatchObject({ total: 1 })
  })

  test('is not applied when the message was already', async () => {
    const intake = open()
    const message = add('a', 1)
    await intake.take(delivered(message))
    await intake.command(redriveOf(message.id, withMessage(message)), redriveOf(message.id))
    expect(outcomes(await service().said())).toEqual(['already-applied', 'already-applied'])
    expect(await service().counter('a')).toMatchObject({ total: 1 })
  })

  test('is dead as too old when nobody knows any more, and applied when a person insists', async () => {
    const intake = open()
    await intake.start()
    const old = (Date.now() - 20 * 86_400_000).toString(16).padStart(12, '0')
    const id = `${old.slice(0, 8)}-${old.slice(8)}-7000-8000-000000000001`
    const message = add('a', 1)
    const given = withMessage(message)
    const headers = { ...message.headers, ce_id: id }
    const letter = { message: { ...given.message, headers } }
    await intake.command(redriveOf(id, letter))
    const [said] = await untilSaid(1)
    expect(said).toMatchObject({
      type: 'dead-lettered',
      body: { messageId: id, reason: 'too-old' },
    })
    await intake.command(redriveOf(id))
    await untilSaid(2)
    expect(outcomes(await service().said())).toEqual(['dead-lettered', 'applied'])
    expect(await service().counter('a')).toMatchObject({ total: 1 })
  })

  test('may be corrected, and then it is the corrected one', async () => {
    const intake = open()
    await intake.start()
    const message = add('a', 1)
    const body = JSON.stringify(addedV1.body.parse({ key: 'a', seq: 1, amount: 9 }))
    await intake.command(redriveOf(message.id, { ...withMessage(message), body }))
    await untilSaid(1)
    expect(await service().counter('a')).toMatchObject({ total: 9 })
  })
})

describe('work that is no message', () => {
  const name = 'counter-service.due-work'

  function dueWork(waiting: Set<string>) {
    const retried: { messageId: string; redriveId: string }[] = []
    const discarded: string[] = []
    let woken = 0
    const work: DueWork = {
      consumer: name,
      lock: async (_, ids) => new Set(ids.filter((id) => waiting.has(id))),
      retry: async (_, letters) => void retried.push(...letters),
      discard: async (_, ids) => void discarded.push(...ids),
      afterCommit: () => {
        woken += 1
      },
    }
    return { work, retried, discarded, wokenTimes: () => woken }
  }

  test('is made due again, and given up, by its own rules', async () => {
    const [one, two] = [crypto.randomUUID(), crypto.randomUUID()]
    const { work, retried, discarded, wokenTimes } = dueWork(new Set([one, two]))
    const intake = open({ dueWork: [work] })
    const redriveId = crypto.randomUUID()
    await intake.command(redriveOf(one, { consumer: name, redriveId }))
    expect(retried).toEqual([{ messageId: one, redriveId }])
    expect(await service().said()).toEqual([])
    await intake.command(discardOf(two, name))
    expect(discarded).toEqual([two])
    expect(outcomes(await service().said())).toEqual(['discarded'])
    expect(wokenTimes()).toBe(2)
  })

  test('that is done already is said to be', async () => {
    const { work, retried } = dueWork(new Set())
    const intake = open({ dueWork: [work] })
    await intake.command(redriveOf(crypto.randomUUID(), { consumer: name }))
    expect(retried).toEqual([])
    expect(outcomes(await service().said())).toEqual(['already-applied'])
  })
})

test('a redrive waits for the retry that is under way, and finds the message applied', async () => {
  const entered = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const { store, fail } = failingStore()
  fail.set('a', new Error('once'))
  const intake = open({ store })
  const message = add('a', 1)
  await intake.take(delivered(message))
  fail.clear()
  store.load = async (tx, keys) => {
    entered.resolve()
    await goOn.promise
    return counterStore.load(tx, keys)
  }
  await intake.start()
  await entered.promise
  const commanded = intake.command(redriveOf(message.id))
  await waitFor(
    async () => {
      const sql = `select count(*)::int as waiting from pg_locks l join pg_stat_activity a using (pid)
        where not l.granted and a.datname = current_database()`
      const [row] = await service().db.query(sql)
      return Number(row?.['waiting']) > 0
    },
    { message: 'the redrive waits for the row' },
  )
  goOn.resolve()
  await commanded
  await untilQuiet()
  expect(await service().counter('a')).toMatchObject({ total: 1 })
  expect(outcomes(await service().said())).toEqual(['already-applied'])
})
