import type { Database } from '@edp/runtime'
import { type HttpApp, problem, problemSchema } from '@edp/runtime/http'
import {
  actBody,
  auditPage,
  auditQuery,
  bodyBody,
  correctedView,
  groupsPage,
  groupsQuery,
  groupView,
  idPath,
  ignoreBody,
  letterDetail,
  lettersPage,
  lettersQuery,
  noQuery,
  noteBody,
  undoBody,
} from './api.ts'
import { correctBody, type Corrected } from './correct-body.ts'
import {
  findGroup,
  findLetter,
  listAudit,
  listGroups,
  listLetters,
  type Reads,
} from './db/reads.ts'
import { ignoreGroup, type Ignored } from './ignore-group.ts'
import { addNote, archiveLetter, type LetterOperated, restoreLetter } from './operate-letter.ts'
import { addRedriveRoutes } from './redrive-http.ts'

/** What the routes call. */
export interface RouteOptions {
  readonly database: Database
  readonly namespace: string
  readonly reads: Reads
  /** Told when a redrive may have something to send. */
  readonly onRedrive: () => void
}

const forGroups = ['groups']
const forLetters = ['letters']
const notFound = { 400: problemSchema, 404: problemSchema }
const refused = { ...notFound, 409: problemSchema }

/** Every route of the service, beside those that all services have. */
export function addRoutes(app: HttpApp, options: RouteOptions): void {
  addGroupRoutes(app, options)
  addIgnoreRoutes(app, options)
  addLetterRoutes(app, options)
  addNoteRoute(app, options)
  for (const verb of ['archive', 'restore'] as const) addLetterVerb(app, options, verb)
  addBodyRoutes(app, options)
  addRedriveRoutes(app, options)
  addAuditRoute(app, options)
}

function addGroupRoutes(app: HttpApp, { reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/groups',
    schema: {
      tags: forGroups,
      summary: 'Letters with the same cause, what failed last first',
      querystring: groupsQuery,
      response: { 200: groupsPage, 400: problemSchema },
    },
    handler: (request) => listGroups(reads, request.query),
  })

  app.route({
    method: 'GET',
    url: '/groups/:id',
    schema: {
      tags: forGroups,
      summary: 'One group',
      params: idPath,
      querystring: noQuery,
      response: { 200: groupView, ...notFound },
    },
    handler: async (request) =>
      (await findGroup(reads, request.params.id)) ?? noGroup(request.params.id),
  })
}

function addIgnoreRoutes(app: HttpApp, { database, reads }: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/groups/:id/ignore',
    schema: {
      tags: forGroups,
      summary: 'Raises no alert for the group until a time, or until so many letters are open',
      params: idPath,
      querystring: noQuery,
      body: ignoreBody,
      response: { 200: groupView, ...refused },
    },
    handler: async (request) => {
      const { id } = request.params
      const { until, untilCount, by, why } = request.body
      const ignoring = {
        ignoredUntil: until === undefined ? null : new Date(until),
        ignoredUntilCount: untilCount ?? null,
      }
      explainIgnored(await ignoreGroup(database, { groupId: id, ignoring, by, why }), id)
      return (await findGroup(reads, id)) ?? noGroup(id)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/groups/:id/ignore',
    schema: {
      tags: forGroups,
      summary: 'Raises alerts for the group again',
      params: idPath,
      querystring: noQuery,
      body: undoBody,
      response: { 200: groupView, ...refused },
    },
    handler: async (request) => {
      const { id } = request.params
      const undone = { groupId: id, ignoring: null, ...undoneBy(request.body) }
      explainIgnored(await ignoreGroup(database, undone), id)
      return (await findGroup(reads, id)) ?? noGroup(id)
    },
  })
}

function addLetterRoutes(app: HttpApp, { reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/letters',
    schema: {
      tags: forLetters,
      summary: 'Letters, the newest first, without their content',
      querystring: lettersQuery,
      response: { 200: lettersPage, 400: problemSchema },
    },
    handler: (request) => listLetters(reads, request.query),
  })

  app.route({
    method: 'GET',
    url: '/letters/:id',
    schema: {
      tags: forLetters,
      summary: 'One letter, with its content, notes and history',
      params: idPath,
      querystring: noQuery,
      response: { 200: letterDetail, ...notFound },
    },
    handler: async (request) =>
      (await findLetter(reads, request.params.id)) ?? noLetter(request.params.id),
  })
}

function addNoteRoute(app: HttpApp, { database, reads }: RouteOptions): void {
  app.route({
    method: 'POST',
    url: '/letters/:id/notes',
    schema: {
      tags: forLetters,
      summary: 'Writes a note to a letter',
      params: idPath,
      querystring: noQuery,
      body: noteBody,
      response: { 201: letterDetail, ...notFound },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      if (!(await addNote(database, { letterId: id, ...request.body }))) return noLetter(id)
      return reply.code(201).send((await findLetter(reads, id)) ?? noLetter(id))
    },
  })
}

function addLetterVerb(
  app: HttpApp,
  { database, namespace, reads }: RouteOptions,
  verb: 'archive' | 'restore',
): void {
  const summaries = {
    archive: 'Gives a letter up: its consumer discards the message, and its key goes on',
    restore: 'Takes a letter out of the archive, unless its consumer has discarded it',
  }
  app.route({
    method: 'POST',
    url: `/letters/:id/${verb}`,
    schema: {
      tags: forLetters,
      summary: summaries[verb],
      params: idPath,
      querystring: noQuery,
      body: actBody,
      response: { 200: letterDetail, ...refused },
    },
    handler: async (request) => {
      const { id } = request.params
      const operation = { letterId: id, ...request.body }
      const operated =
        verb === 'archive'
          ? await archiveLetter({ database, namespace }, operation)
          : await restoreLetter(database, operation)
      explainOperated(operated, id, verb)
      return (await findLetter(reads, id)) ?? noLetter(id)
    },
  })
}

function addBodyRoutes(app: HttpApp, { database, reads }: RouteOptions): void {
  app.route({
    method: 'PUT',
    url: '/letters/:id/body',
    schema: {
      tags: forLetters,
      summary: 'Corrects the body with which a letter is sent back',
      params: idPath,
      querystring: noQuery,
      body: bodyBody,
      response: { 200: correctedView, ...refused, 422: problemSchema },
    },
    handler: async (request) => {
      const { id } = request.params
      const corrected = await correctBody(database, { letterId: id, ...request.body })
      if (!corrected.ok) return explainCorrected(corrected, id)
      return { letterId: id, correctedBody: request.body.body, diff: [...corrected.diff] }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/letters/:id/body',
    schema: {
      tags: forLetters,
      summary: 'Takes the corrected body away: the letter is sent back as it was',
      params: idPath,
      querystring: noQuery,
      body: undoBody,
      response: { 200: letterDetail, ...refused },
    },
    handler: async (request) => {
      const { id } = request.params
      const undone = { letterId: id, body: null, ...undoneBy(request.body) }
      const corrected = await correctBody(database, undone)
      if (!corrected.ok) return explainCorrected(corrected, id)
      return (await findLetter(reads, id)) ?? noLetter(id)
    },
  })
}

function addAuditRoute(app: HttpApp, { reads }: RouteOptions): void {
  app.route({
    method: 'GET',
    url: '/audit',
    schema: {
      tags: ['audit'],
      summary: 'Everything that was done, the newest first',
      querystring: auditQuery,
      response: { 200: auditPage, 400: problemSchema },
    },
    handler: (request) => listAudit(reads, request.query),
  })
}

function undoneBy(body: { by: string; why?: string | undefined } | null | undefined): {
  by: string
  why?: string
} {
  const { by = 'an operator', why } = body ?? {}
  return why === undefined ? { by } : { by, why }
}

function noGroup(groupId: string): never {
  throw problem(404, 'unknown-group', `There is no group ${groupId}.`)
}

function noLetter(letterId: string): never {
  throw problem(404, 'unknown-letter', `There is no letter ${letterId}.`)
}

function explainIgnored(ignored: Ignored, groupId: string): void {
  switch (ignored.kind) {
    case 'done':
      return
    case 'unknown':
      return noGroup(groupId)
    case 'reached':
      throw problem(
        409,
        'count-reached',
        `The group has ${ignored.open} open letters already: untilCount must be more.`,
      )
  }
}

function explainOperated(operated: LetterOperated, letterId: string, verb: string): void {
  switch (operated.kind) {
    case 'done':
      return
    case 'unknown':
      return noLetter(letterId)
    case 'discarded':
      throw problem(409, 'discarded', 'The consumer has discarded the message: it is gone.')
    case 'not-now':
      throw problem(
        409,
        'wrong-status',
        `A letter that is ${operated.status} cannot be ${verb}d. Nothing was changed.`,
      )
  }
}

function explainCorrected(corrected: Extract<Corrected, { ok: false }>, letterId: string): never {
  switch (corrected.kind) {
    case 'unknown':
      return noLetter(letterId)
    case 'truncated':
      throw problem(409, 'body-truncated', 'Only the beginning of the body is here.')
    case 'at-the-relay':
      throw problem(
        409,
        'at-the-relay',
        'The message never left its outbox: repair it there with `pnpm edp outbox put-back`.',
      )
    case 'not-now':
      throw problem(409, 'wrong-status', `The letter is ${corrected.status}, and not open.`)
    case 'no-schema':
    case 'not-valid':
    case 'other-key':
      throw problem(422, corrected.kind, `The body is refused: ${corrected.problems.join('; ')}.`, {
        errors: corrected.problems.map((message) => ({ path: 'body.body', message })),
      })
  }
}
