import { randomUUID } from 'node:crypto'
import { declaredStatements } from '@edp/runtime'
import { decide, type SagaInput } from '@edp/saga'
import {
  createSagaRegistry,
  lockDueSagas,
  lockSagas,
  nameOf,
  readSaga,
  readTransportAgeMs,
  replayAll,
  saveSagas,
} from '@edp/saga/postgres'
import { explainPlans } from '@edp/testkit'
import { beforeEach, describe, expect, test } from 'vitest'
import { confirmedSaga, registry, smallOrchestrator, tripSaga } from './orchestrator.ts'
import { cancel, reply, retry, skip, type Trip, trip } from './trip.ts'

const world = smallOrchestrator()
const versions = registry.all.map((one) => nameOf(one.definition, one.version))

beforeEach(async () => {
  await world.postgres.query('truncate saga, saga_log, saga_intervention, outbox')
})

const booked = reply('book', 'do', 'ok', { result: 'b-1' })
const insured = reply('insure', 'do', 'ok')
const paid = reply('pay', 'do', 'ok')
const unbooked = reply('book', 'undo', 'ok')

/** A way into every status. */
const ways: readonly (readonly [string, readonly SagaInput<Trip>[]])[] = [
  ['running', []],
  ['running', [booked]],
  ['compensating', [booked, cancel]],
  ['fencing', [booked, insured, cancel]],
  ['needs_human', [booked, cancel, reply('insure', 'undo', 'failed', { reason: 'no' })]],
  ['needs_human', [booked, insured, paid, reply('tell', 'do', 'refused')]],
  ['completed', [booked, insured, paid, reply('tell', 'do', 'ok')]],
  ['compensated', [booked, cancel, skip, unbooked]],
]

describe('the row of a saga', () => {
  test.each(ways)('%s keeps the state exactly, as it was decided', async (status, inputs) => {
    const id = await world.start()
    let decided = (await world.read(id)).state
    for (const input of inputs) {
      await world.decide(id, input)
      const { now } = await lastTime(id)
      const next = decide(trip, { ...decided, context: contextOf(decided.context) }, input, now)
      decided = next.state ?? decided
    }
    const stored = await world.read(id)
    expect(stored.state.status).toBe(status)
    expect(stored.state).toEqual(decided)
    expect(await replayAll(world.database, registry)).toEqual({ sagas: 1, problems: [] })
  })

  test('keeps what a local step did in the same transaction', async () => {
    const id = await world.start(confirmedSaga)
    const { saga, log, effects } = await world.decide(id, booked)
    expect(saga.state.status).toBe('completed')
    expect(log.map(({ actor, note }) => `${actor}: ${note}`)).toEqual([
      'a-service: done',
      'local: completed',
    ])
    expect(effects).toEqual([{ kind: 'ended', status: 'completed', cause: null }])
    expect(await replayAll(world.database, registry)).toEqual({ sagas: 1, problems: [] })
  })

  test('gets a number in its log for what changes nothing, and keeps its version', async () => {
    const id = await world.start()
    await world.decide(id, booked)
    const { changed, note } = await world.decide(id, booked)
    expect({ changed, note }).toEqual({ changed: false, note: 'duplicate' })
    const { state, seq } = await world.read(id)
    expect({ version: state.version, seq }).toEqual({ version: 2, seq: 3 })
  })

  test('of one business key is one: the second saga of a definition is refused', async () => {
    const id = await world.start()
    await expect(
      world.postgres.query(
        `insert into saga select gen_random_uuid(), definition, definition_version, business_key, status, step, direction,
           attempt, due_at, silent_ms, trouble, cause, context, skipped, deadline_at, version, seq, started_at,
           step_at, changed_at, ended_at from saga where id = $1`,
        [id],
      ),
    ).rejects.toThrow('saga_business_key')
  })

  test('that has ended is not taken back, and its log may grow', async () => {
    const id = await world.start()
    const running = await world.read(id)
    await world.decide(id, booked, insured, paid, reply('tell', 'do', 'ok'))
    await world.decide(id, retry)
    expect((await world.read(id)).state.status).toBe('completed')
    const takenBack = world.database.transaction(async (tx) => saveSagas(tx, [running]))
    await expect(takenBack).rejects.toThrow('saga_')
  })

  test('says how long its step took when it leaves it', async () => {
    const id = await world.start()
    await world.postgres.query(`update saga set step_at = step_at - interval '90 s'`)
    const [entry] = (await world.decide(id, booked)).log
    expect(entry?.left).toMatchObject({ step: 'book', direction: 'do' })
    expect(entry?.left?.seconds).toBeGreaterThanOrEqual(90)
    expect(
      (await world.decide(id, { kind: 'due', version: 2, transport: 'running' })).log,
    ).toMatchObject([{ note: 'resent', left: null }])
  })
})

describe('a replay', () => {
  test.each([
    ['a note', `update saga_log set note = 'refused' where seq = 2`, 'entry 2'],
    ['an effect', `update saga_log set effects = '[]' where seq = 1`, 'entry 1'],
    ['a version', 'update saga_log set version = 9 where seq = 2', 'entry 2'],
    ['an input', `update saga_log set input = '{"kind":"cancel"}' where seq = 2`, 'entry 2'],
    ['a missing entry', 'delete from saga_log where seq = 2', 'entry 2'],
    ['the state', 'update saga set attempt = 7', 'the state'],
    ['the context', `update saga set context = '{"seats":3}'`, 'the state'],
    ['the count', 'update saga set seq = 7', 'counts 7'],
    ['a version nobody knows', 'update saga set definition_version = 9', 'trip@9'],
  ])('finds %s that was not decided so', async (_, sql, problem) => {
    const id = await world.start()
    await world.decide(id, booked, insured)
    await world.postgres.query(sql)
    const { problems } = await replayAll(world.database, registry)
    expect(problems.join('\n')).toContain(problem)
  })
})

describe('locks', () => {
  test('of many sagas are taken in one order: batches in opposite orders do not deadlock', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => world.start()))
    const batch = (of: readonly string[]) =>
      world.database.transaction(async (tx) => {
        const sagas = [...(await lockSagas(tx, of)).values()]
        saveSagas(tx, sagas.toReversed())
      })
    // As many at once as there are connections: for one of those nobody waits as long as for a lock.
    await Promise.all(
      Array.from({ length: 6 }, async (_, lane) => {
        for (let round = 0; round < 5; round += 1) {
          await batch(lane % 2 === 0 ? ids : ids.toReversed())
        }
      }),
    )
    expect(await world.database.transaction((tx) => lockSagas(tx, ids))).toHaveProperty('size', 30)
  })

  test('leave out what does not exist', async () => {
    const none = await world.database.transaction((tx) => lockSagas(tx, [randomUUID()]))
    expect(none.size).toBe(0)
  })
})

const backlog = { sagasMin: 100, silentMs: 5000, heldMs: 60_000 }

describe('due sagas', () => {
  test('come the longest overdue first, as many as are asked for, of known versions alone', async () => {
    const [later, sooner, unknown, asleep] = await Promise.all(
      Array.from({ length: 4 }, () => world.start()),
    )
    const overdue = (id: string | undefined, seconds: number) =>
      world.postgres.query(
        'update saga set due_at = now() - make_interval(secs => $2) where id = $1',
        [id, seconds],
      )
    await overdue(later, 1)
    await overdue(sooner, 2)
    await overdue(unknown, 3)
    await overdue(asleep, -3600)
    await world.postgres.query('update saga set definition_version = 9 where id = $1', [unknown])
    const due = (limit: number) =>
      world.database.transaction(async (tx) =>
        (await lockDueSagas(tx, limit, versions, backlog)).map((saga) => saga.id),
      )
    expect(await due(10)).toEqual([sooner, later])
    expect(await due(1)).toEqual([sooner])
  })

  test('that somebody has locked are passed over', async () => {
    const [locked, free] = [await world.start(), await world.start()]
    await world.postgres.query('update saga set due_at = now()')
    const ids = await world.database.transaction(async (tx) => {
      await lockSagas(tx, [locked])
      return world.database.transaction(async (other) =>
        (await lockDueSagas(other, 10, versions, backlog)).map((saga) => saga.id),
      )
    })
    expect(ids).toEqual([free])
  })
})

test('a transport is as old as the oldest message that waits for it', async () => {
  const age = () => world.database.transaction((tx) => readTransportAgeMs(tx, 'rabbitmq'))
  expect(await age()).toBe(0)
  await world.postgres.query(
    `insert into outbox (transport, created_at) values
       ('kafka', now() - interval '1 hour'), ('rabbitmq', now() - interval '1 minute'), ('rabbitmq', now())`,
  )
  expect(await age()).toBeGreaterThanOrEqual(60_000)
  expect(await age()).toBeLessThan(3_600_000)
})

test('the history is the newest entries, in their order, with the reasons of people', async () => {
  const id = await world.start()
  await world.decide(id, booked, insured, paid)
  await world.postgres.query(
    `insert into saga_intervention values ($1, 3, 'retry', 'ada', 'because', now())`,
    [id],
  )
  const found = await world.database.transaction((tx) => readSaga(tx, id, 2))
  expect(found?.log.map(({ seq, reason }) => [seq, reason])).toEqual([
    [3, 'because'],
    [4, null],
  ])
  expect(await world.database.transaction((tx) => readSaga(tx, randomUUID(), 2))).toBeUndefined()
})

describe('a registry', () => {
  test('does not take a version twice', () => {
    expect(() => createSagaRegistry([tripSaga, tripSaga])).toThrow('trip@1 is registered twice')
  })

  test('says of a version that it does not know that another process may', () => {
    const unknown = { definition: 'trip', definitionVersion: 2 }
    expect(registry.find('trip', 2)).toBeUndefined()
    expect(() => registry.of(unknown)).toThrow(
      expect.objectContaining({ code: 'saga-version-unknown', retry: 'transient-everything' }),
    )
  })
})

test('each statement looks up by the whole key while there are no statistics', async () => {
  const statements = declaredStatements().filter((one) => one.name.startsWith('saga_'))
  expect(statements.map(({ name }) => name).toSorted()).toEqual([
    'saga_history',
    'saga_insert',
    'saga_intervention_insert',
    'saga_live_count',
    'saga_lock',
    'saga_lock_due',
    'saga_log_insert',
    'saga_read',
    'saga_replay_log',
    'saga_replay_page',
    'saga_transport_age',
    'saga_update',
  ])
  const problems = await explainPlans(world.postgres.url, statements, {
    // The due ones, and those of the backlog.
    saga_lock_due: { s: ['due_at'], r: ['status'] },
    saga_live_count: { saga: ['status'] },
    saga_history: { saga_log: ['saga_id'] },
    saga_replay_log: { saga_log: ['saga_id'] },
    saga_transport_age: { outbox: ['transport'] },
  })
  expect(problems).toEqual([])
})

/** When the last decision on a saga was made. */
async function lastTime(id: string): Promise<{ now: number }> {
  const [row] = await world.postgres.query('select changed_at from saga where id = $1', [id])
  const at = row?.['changed_at']
  if (!(at instanceof Date)) throw new Error('no time')
  return { now: at.getTime() }
}

function contextOf(context: unknown): Trip {
  if (typeof context !== 'object' || context === null || !('seats' in context)) {
    throw new Error('no context')
  }
  return { seats: 2, ...('bookingId' in context && { bookingId: String(context.bookingId) }) }
}
