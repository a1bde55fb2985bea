import { findDeadRow } from '@edp/outbox/drain'
import type { Database, Logger } from '@edp/runtime'
import { type HttpApp, problem, problemSchema } from '@edp/runtime/http'
import {
  type DeadRowPath,
  deadRowDetail,
  deadRowPath,
  deadRowsPage,
  deadRowsQuery,
  discardBody,
  noQuery,
  putBackBody,
  settledView,
  type SettledView,
  viewDeadRowDetail,
} from './api.ts'
import { listAllDeadRows } from './list-dead-rows.ts'
import { type Settlement, settleDeadRow } from './settle-dead-row.ts'

/** What the routes call. */
export interface RouteOptions {
  readonly databases: ReadonlyMap<string, Database>
  readonly namespace: string
  readonly logger: Logger
  /** Rows of this database and transport were put back or given up. */
  readonly onSettled: (database: string, transport: DeadRowPath['transport']) => void
}

const tags = ['dead rows']
/** Thousands of rows may wait behind one. */
export const settleTimeoutMs = 60_000

/** Every route of the relay, beside those that all services have. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  addReads(app, options)
  addPutBack(app, options)
  addDiscard(app, options)
}

function addReads(app: HttpApp, { databases }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/dead-rows',
    schema: {
      tags,
      summary: 'Rows that can never be published, and those that wait behind them',
      querystring: deadRowsQuery,
      response: { 200: deadRowsPage, 400: problemSchema, 404: problemSchema },
    },
    handler: (request) => {
      const { database } = request.query
      if (database !== undefined) databaseOf(databases, database)
      return listAllDeadRows(databases, request.query)
    },
  })

  app.route({
    method: 'GET',
    url: '/dead-rows/:database/:transport/:id',
    schema: {
      tags,
      summary: 'One of them, with its payload and headers',
      params: deadRowPath,
      querystring: noQuery,
      response: { 200: deadRowDetail, 400: problemSchema, 404: problemSchema },
    },
    handler: async (request) => {
      const { database, transport, id } = request.params
      const row = await databaseOf(databases, database).transaction((tx) =>
        findDeadRow(tx, transport, id),
      )
      return row ? viewDeadRowDetail(database, row) : noDeadRow(request.params)
    },
  })
}

const answers = {
  200: settledView,
  400: problemSchema,
  404: problemSchema,
  409: problemSchema,
}

function addPutBack(app: HttpApp, options: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/dead-rows/:database/:transport/:id/put-back',
    handlerTimeout: settleTimeoutMs,
    schema: {
      tags,
      summary:
        'Puts a row back into the outbox, repaired if there is a payload, and those that wait behind it',
      params: deadRowPath,
      querystring: noQuery,
      body: putBackBody,
      response: answers,
    },
    handler: (request) => settle(options, { ...request.params, ...request.body, verb: 'put-back' }),
  })
}

function addDiscard(app: HttpApp, options: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/dead-rows/:database/:transport/:id/discard',
    handlerTimeout: settleTimeoutMs,
    schema: {
      tags,
      summary: 'Gives a row up; those that wait behind it go back into the outbox',
      params: deadRowPath,
      querystring: noQuery,
      body: discardBody,
      response: answers,
    },
    handler: (request) => settle(options, { ...request.params, ...request.body, verb: 'discard' }),
  })
}

async function settle(options: RouteOptions, settlement: Settlement): Promise<SettledView> {
  const { databases, namespace, logger, onSettled } = options
  const { database, transport, id } = settlement
  const context = { database: databaseOf(databases, database), namespace, logger }
  const settled = await settleDeadRow(context, settlement)
  switch (settled.kind) {
    case 'not-found':
      return noDeadRow(settlement)
    case 'waiting':
      throw problem(
        409,
        'row-waits',
        'The row is not dead: it waits for one of its key, which has to be put back or given up.',
      )
    case 'bad-payload':
      throw problem(400, 'bad-payload', 'The payload cannot take the place of the old one.', {
        errors: settled.problems,
      })
    case 'done': {
      onSettled(database, transport)
      const { messageId, followers } = settled
      const outcome = settlement.verb === 'discard' ? 'discarded' : 'put-back'
      return { database, transport, id, messageId, outcome, followers }
    }
  }
}

function databaseOf(databases: ReadonlyMap<string, Database>, name: string): Database {
  const database = databases.get(name)
  if (database !== undefined) return database
  const known = [...databases.keys()].join(', ')
  throw problem(404, 'no-such-database', `There is no database ${name} here; there are ${known}.`)
}

function noDeadRow({ database, transport, id }: DeadRowPath): never {
  throw problem(404, 'no-such-dead-row', `${database}/${transport}/${id} is not dead.`)
}
