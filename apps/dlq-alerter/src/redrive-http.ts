import { type HttpApp, problem, problemSchema } from '@edp/runtime/http'
import {
  actBody,
  byBody,
  dryRunView,
  idPath,
  noQuery,
  redriveBody,
  redrivesPage,
  redrivesQuery,
  redriveView,
  type RedriveView,
} from './api.ts'
import { dryRun, findLetter } from './db/reads.ts'
import { findRedrive, listRedrives } from './db/redrive-reads.ts'
import type { RouteOptions } from './http.ts'
import {
  operateRedrive,
  redriveLettersMax,
  type RedriveRequest,
  type Started,
  startRedrive,
} from './start-redrive.ts'

const tags = ['redrives']
const notFound = { 400: problemSchema, 404: problemSchema }
const refused = { ...notFound, 409: problemSchema }

/** The routes that send letters back. */
export function addRedriveRoutes(app: HttpApp, options: RouteOptions): void {
  addRedriveOne(app, options)
  addRedriveMany(app, options)
  addRedriveReads(app, options)
  for (const verb of ['cancel', 'resume'] as const) addRedriveVerb(app, options, verb)
}

function addRedriveOne(app: HttpApp, options: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/letters/:id/redrive',
    schema: {
      tags,
      summary: 'Sends one letter back to the consumer that failed',
      params: idPath,
      querystring: noQuery,
      body: actBody,
      response: { 202: redriveView, ...refused },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const letter = await findLetter(options.reads, id)
      if (!letter) throw problem(404, 'unknown-letter', `There is no letter ${id}.`)
      const selection = { letters: [id] }
      const view = await start(options, { ...request.body, ...oneByOne, selection })
      return reply.code(202).header('location', `/redrives/${view.redriveId}`).send(view)
    },
  })
}

const oneByOne = { canary: 0, ratePerSecond: 10 }

function addRedriveMany(app: HttpApp, options: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/redrives',
    schema: {
      tags,
      summary: 'Sends the open letters of a selection back, or says what it would send',
      querystring: noQuery,
      body: redriveBody,
      response: { 200: dryRunView, 202: redriveView, 400: problemSchema, 409: problemSchema },
    },
    handler: async (request, reply) => {
      const { dryRun: isDryRun, selection, ...rest } = request.body
      const { all: _all, ...named } = selection
      if (isDryRun) return reply.code(200).send(await dryRun(options.reads, named))
      const view = await start(options, { ...rest, selection: named })
      return reply.code(202).header('location', `/redrives/${view.redriveId}`).send(view)
    },
  })
}

function addRedriveReads(app: HttpApp, { reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/redrives',
    schema: {
      tags,
      summary: 'Redrives, the newest first',
      querystring: redrivesQuery,
      response: { 200: redrivesPage, 400: problemSchema },
    },
    handler: (request) => listRedrives(reads, request.query),
  })

  app.route({
    method: 'GET',
    url: '/redrives/:id',
    schema: {
      tags,
      summary: 'One redrive and its progress',
      params: idPath,
      querystring: noQuery,
      response: { 200: redriveView, ...notFound },
    },
    handler: async (request) =>
      (await findRedrive(reads, request.params.id)) ?? noRedrive(request.params.id),
  })
}

function addRedriveVerb(
  app: HttpApp,
  { database, reads, onRedrive }: RouteOptions,
  verb: 'cancel' | 'resume',
): void {
  const summaries = {
    cancel: 'Sends no more of a redrive; what was sent is on its way',
    resume: 'Lets a paused redrive go on in spite of its canary',
  }
  app.route({
    method: 'POST',
    url: `/redrives/:id/${verb}`,
    schema: {
      tags,
      summary: summaries[verb],
      params: idPath,
      querystring: noQuery,
      body: byBody,
      response: { 200: redriveView, ...refused },
    },
    handler: async (request) => {
      const { id } = request.params
      const operation = { redriveId: id, verb, by: request.body.by }
      const operated = await operateRedrive(database, operation)
      if (operated.kind === 'unknown') return noRedrive(id)
      if (operated.kind === 'not-now') {
        throw problem(409, 'wrong-state', `A redrive that is ${operated.state} cannot ${verb}.`)
      }
      onRedrive()
      return (await findRedrive(reads, id)) ?? noRedrive(id)
    },
  })
}

async function start(options: RouteOptions, request: RedriveRequest): Promise<RedriveView> {
  const started = await startRedrive(options.database, request)
  if (started.kind !== 'started') return explainRefusal(started)
  options.onRedrive()
  return (await findRedrive(options.reads, started.redriveId)) ?? noRedrive(started.redriveId)
}

function explainRefusal(refusal: Exclude<Started, { kind: 'started' }>): never {
  switch (refusal.kind) {
    case 'nothing-open':
      throw problem(409, 'nothing-open', 'No open letter fits the selection.')
    case 'too-many':
      throw problem(409, 'too-many', `More than ${redriveLettersMax} letters fit the selection.`)
    case 'not-taken-back':
      throw problem(409, 'not-taken-back', explainNotTakenBack(refusal.consumers))
  }
}

function explainNotTakenBack(consumers: readonly string[]): string {
  const names = consumers.join(', ')
  return consumers.some((consumer) => consumer.startsWith('outbox-relay.'))
    ? `${names}: the message never left its outbox. Put it back there with \`pnpm edp outbox put-back\`.`
    : `${names}: nobody takes these letters back. Archive them.`
}

function noRedrive(redriveId: string): never {
  throw problem(404, 'unknown-redrive', `There is no redrive ${redriveId}.`)
}
