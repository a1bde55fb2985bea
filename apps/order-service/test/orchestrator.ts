import type { Priority } from '@edp/event-schemas'
import { createPipeline, type Pipeline } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { createLogger, type Database, openDatabase } from '@edp/runtime'
import { lockSagas, registerSaga, replayAll, saveSagas } from '@edp/saga/postgres'
import { patient, type TestDatabase } from '@edp/testkit'
import { afterAll, expect } from 'vitest'
import { placeOrderBody } from '../src/api.ts'
import { cancelOrder } from '../src/cancel-order.ts'
import { rabbitmqConsumer } from '../src/consumers.ts'
import { orderFulfilment } from '../src/domain/fulfilment.ts'
import { decideDueSagas } from '../src/due-sagas.ts'
import { operateSaga } from '../src/operate-saga.ts'
import { createPlaceOrder } from '../src/place-order.ts'
import { fulfilmentContext, type OrderSagas, orderSagas } from '../src/sagas.ts'
import { cupAndPots } from './given.ts'
import { deliveredReply } from './replies.ts'
import { newKey, testDatabase } from './running.ts'

export const namespace = 'test'
export const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const silent = createLogger('test', 'silent')

/** A process of the orchestrator, without brokers: every interleaving can be made by hand. */
export interface Orchestrator {
  place(deadlineMs?: number, priority?: Priority): Promise<string>
  handle(...replies: readonly OutboxRow[]): Promise<void>
  /** Makes the timer of a saga due, and runs the timers. */
  due(sagaId: string): Promise<number>
  timers(): Promise<number>
  cancel(orderId: string): Promise<string>
  operate(
    sagaId: string,
    verb: 'retry' | 'skip' | 'cancel',
    version: number,
  ): Promise<Awaited<ReturnType<typeof operateSaga>>['kind']>
}

/** One database, processes on it, and what can be seen of it. */
export async function openOrchestration() {
  const owner = await testDatabase()
  const database = openDatabase({
    url: owner.serviceUrl,
    applicationName: 'test',
    poolMax: 8,
    ...patient,
  })
  afterAll(() => database.end())
  return {
    owner,
    database,
    process: (sagas: OrderSagas = orderSagas) => orchestrator(owner, database, sagas),
    ...views(owner),
    // No truncate: it locks the tables, in another order than the loops of a service that runs on them.
    clear: () =>
      owner.query(
        `with s as (delete from saga), l as (delete from saga_log), i as (delete from saga_intervention),
           o as (delete from orders), n as (delete from order_lines), t as (delete from order_timeline),
           k as (delete from idempotency_key), m as (delete from outbox)
         select 1 as done`,
      ),
    /** Runs a statement with the rights of the service. */
    asService: (sql: string) => database.reads.query(sql),
    /** Writes a saga as the service would, in a status of before. */
    rewrite: (id: string, status: 'running') =>
      database.transaction(async (tx) => {
        const saga = (await lockSagas(tx, [id])).get(id)
        if (saga === undefined) throw new Error(`no saga ${id}`)
        const { context, version, deadlineAt, skipped } = saga.state
        const waiting = { step: 'reserve', attempt: 1, dueAt: 0, silentMs: 0 }
        const facts = { context, version, deadlineAt, skipped, cause: null }
        saveSagas(tx, [{ ...saga, state: { ...facts, ...waiting, status, direction: 'do' } }])
      }),
    /** Decides every log again; fails where it does not lead to what is stored. */
    async expectReplayed(sagas: OrderSagas = orderSagas): Promise<number> {
      const replayed = await replayAll(database, sagas.registry)
      expect(replayed.problems).toEqual([])
      return replayed.sagas
    },
  }
}

function orchestrator(owner: TestDatabase, database: Database, sagas: OrderSagas): Orchestrator {
  const options = { database, namespace, sagas, logger: silent }
  const pipeline: Pipeline = createPipeline({
    consumer: rabbitmqConsumer(sagas.registry),
    source: 'order-service',
    ...options,
  })
  const timers = (): Promise<number> => decideDueSagas(options, 100)
  return {
    timers,
    place: async (deadlineMs = 300_000, priority = 'standard') => {
      const place = createPlaceOrder({ ...options, orderDeadlineMs: deadlineMs })
      const body = placeOrderBody.parse({ ...cupAndPots, coordination: 'orchestrated', priority })
      const placed = await place({ idempotencyKey: newKey(), body, traceparent })
      if (placed.kind !== 'accepted') throw new Error(placed.kind)
      return placed.order.orderId
    },
    handle: (...replies) => pipeline.handle(replies.map(deliveredReply)),
    due: async (sagaId) => {
      await owner.query('update saga set due_at = now() where id = $1', [sagaId])
      return timers()
    },
    cancel: async (orderId) => (await cancelOrder(options, orderId, traceparent)).kind,
    operate: async (sagaId, verb, version) => {
      const operation = { sagaId, verb, version, actor: 'ada', reason: 'a test', traceparent }
      return (await operateSaga(options, operation)).kind
    },
  }
}

/** The definition of orders in another version. */
export function fulfilmentVersion(version: number) {
  return registerSaga({ ...orderFulfilment, version }, fulfilmentContext)
}

function views(owner: TestDatabase) {
  const one = async (sql: string, id: string) => (await owner.query(sql, [id]))[0]
  return {
    orderOf: (id: string) =>
      one('select status, cancel_reason from orders where order_id = $1', id),
    sagaOf: (id: string) =>
      one('select status, step, direction, attempt, version, seq from saga where id = $1', id),
    versionOf: async (id: string) =>
      Number((await one('select version from saga where id = $1', id))?.['version']),
    /** What was sent for an order, commands with their attempt: `stock.reserve #1`. */
    sentFor: async (id: string): Promise<string[]> => {
      const rows = await owner.query(
        `select type, headers->>'cloudEvents_attempt' as attempt from outbox where key = $1 order by id`,
        [id],
      )
      return rows.map(({ type, attempt }) => {
        const name = String(type).replace(/\.v1$/, '')
        return typeof attempt === 'string' ? `${name} #${attempt}` : name
      })
    },
    /** Where its commands were sent, in order. */
    queuesOf: async (id: string): Promise<string[]> => {
      const rows = await owner.query(
        `select destination from outbox where key = $1 and transport = 'rabbitmq' order by id`,
        [id],
      )
      return rows.map(({ destination }) => String(destination))
    },
    /** The notes of its log, in order, each with whose input it was. */
    logOf: async (id: string): Promise<string[]> => {
      const rows = await owner.query(
        'select actor, note from saga_log where saga_id = $1 order by seq',
        [id],
      )
      return rows.map(({ actor, note }) => `${String(actor)}: ${String(note)}`)
    },
    timelineOf: (id: string) =>
      owner.query('select type, detail from order_timeline where order_id = $1 order by seq', [id]),
  }
}
