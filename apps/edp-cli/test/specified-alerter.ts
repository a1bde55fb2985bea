import { problem } from '@edp/runtime/http'
import { z } from 'zod'
import { type Served, serve } from './served.ts'

type App = Parameters<Parameters<typeof serve>[0]>[0]

/** A dead letter as the alerter's specification shows it in lists. */
export function letter(letterId: string, changes: Record<string, unknown> = {}) {
  return {
    letterId,
    consumer: 'inventory-service.kafka',
    messageId: '01984b1e-0000-7000-8000-000000000001',
    source: 'kafka',
    position: 'edp.order.events/3@1207',
    type: 'order.placed.v1',
    key: '01984b1d-5b40-7000-8000-00000000c0de',
    correlationId: '01984b1d-5b40-7000-8000-00000000c0de',
    causationId: null,
    traceparent: null,
    reason: 'poison',
    error: { code: 'poison', message: 'body.lines: Invalid input' },
    attempts: 1,
    firstFailedAt: '2026-01-31T10:00:00.000Z',
    lastFailedAt: '2026-01-31T10:00:01.000Z',
    fingerprint: 'c0ffee',
    groupId: 'group-1',
    status: 'open',
    outcome: null,
    waitingBehind: 3,
    ...changes,
  }
}

/** The same with what only one letter shows. */
export function letterDetail(letterId: string) {
  return {
    ...letter(letterId),
    error: {
      code: 'poison',
      message: 'body.lines: Invalid input\u001B[2J',
      stack: 'Error: poison\n    at read (src/read-message.ts:1:1)',
    },
    content: {
      headers: { ce_type: 'order.placed.v1' },
      body: '{"orderId":"1"}',
      encoding: 'utf8',
      bytes: 15,
    },
    correctedBody: null,
    notes: [{ at: '2026-01-31T11:00:00.000Z', by: 'grace', text: 'asked the shop' }],
    history: [{ at: '2026-01-31T11:00:00.000Z', by: 'grace', action: 'note', why: null }],
  }
}

const onRecord = { by: z.string().min(1), why: z.string().min(1) }
const redriveBody = z.strictObject({
  selection: z.strictObject({
    letters: z.array(z.string()).optional(),
    group: z.string().optional(),
    consumer: z.string().optional(),
    type: z.string().optional(),
    reason: z.string().optional(),
    all: z.literal(true).optional(),
  }),
  dryRun: z.boolean().optional(),
  canary: z.int().positive().optional(),
  ratePerSecond: z.int().positive().optional(),
  ...onRecord,
})

/** How far a redrive is, each time that it is asked for: the last of these stays. */
export type Progress = readonly { state: string; sent: number; resolved: number; failed: number }[]

/** A server with the routes and the strict bodies that dlq-alerter is specified to have. */
export function serveSpecifiedAlerter(progress: Progress = []): Promise<Served> {
  return serve((app) => {
    addLetterRoutes(app)
    addRedriveRoutes(app, progress)
    addGroupRoutes(app)
    app.route({
      method: 'GET',
      url: '/alerts',
      handler: () => ({
        alerts: [
          {
            alertId: 1,
            dedupKey: 'edp/group-1',
            rule: 'dead-letter-group',
            source: 'letters',
            severity: 'critical',
            status: 'firing',
            summary: '3 open letters of inventory-service.kafka',
            labels: {},
            path: '/groups/group-1',
            runbook: 'dead-letters.md',
            startsAt: '2026-01-31T10:00:00.000Z',
            endsAt: null,
          },
        ],
        nextCursor: null,
      }),
    })
  })
}

function addLetterRoutes(app: App): void {
  app.route({
    method: 'GET',
    url: '/letters',
    handler: () => ({ letters: [letter('letter-1'), letter('letter-2')], nextCursor: 'letter-2' }),
  })
  app.route<{ Params: { id: string } }>({
    method: 'GET',
    url: '/letters/:id',
    handler: ({ params }) => {
      if (params.id.startsWith('letter-')) return letterDetail(params.id)
      throw problem(404, 'no-such-letter', `There is no letter ${params.id}.`)
    },
  })
  for (const verb of ['archive', 'restore'] as const) {
    app.route<{ Params: { id: string } }>({
      method: 'POST',
      url: `/letters/:id/${verb}`,
      schema: { body: z.strictObject(onRecord) },
      handler: ({ params }) => {
        if (params.id === 'letter-discarded') {
          throw problem(409, 'discarded', 'The consumer has discarded the message.')
        }
        return letter(params.id, { status: verb === 'archive' ? 'archived' : 'open' })
      },
    })
  }
  app.route({
    method: 'POST',
    url: '/letters/:id/notes',
    schema: { body: z.strictObject({ by: z.string(), text: z.string() }) },
    handler: ({ body }) => body,
  })
  app.route({
    method: 'PUT',
    url: '/letters/:id/body',
    schema: { body: z.strictObject({ body: z.string(), ...onRecord }) },
    handler: () => ({ diff: [{ path: 'lines.0.quantity', before: '2', after: 2 }] }),
  })
  app.route({
    method: 'DELETE',
    url: '/letters/:id/body',
    handler: (_request, reply) => reply.code(204).send(),
  })
}

function addRedriveRoutes(app: App, progress: Progress): void {
  let looked = 0
  const show = (state: string, sent: number, resolved: number, failed: number) => ({
    redriveId: 'redrive-1',
    state,
    progress: { selected: 4, sent, resolved, failed, pending: 4 - sent, skipped: 0 },
    by: 'ada',
    why: 'mended',
    createdAt: '2026-01-31T10:00:00.000Z',
  })
  app.route({
    method: 'POST',
    url: '/redrives',
    schema: { body: redriveBody },
    handler: ({ body }, reply) => {
      if (body.dryRun === true) return { count: 2, sample: [letter('letter-1')] }
      if (body.selection.letters?.includes('letter-outbox') === true) {
        throw problem(409, 'not-redrivable', 'Put it back: `pnpm edp outbox put-back`.')
      }
      return reply
        .code(202)
        .header('location', '/redrives/redrive-1')
        .send(show('running', 0, 0, 0))
    },
  })
  app.route({
    method: 'GET',
    url: '/redrives/:id',
    handler: () => {
      const now = progress[Math.min(looked++, progress.length - 1)]
      if (!now) throw problem(404, 'no-such-redrive', 'There is no such redrive.')
      return show(now.state, now.sent, now.resolved, now.failed)
    },
  })
  app.route({
    method: 'GET',
    url: '/redrives',
    handler: () => ({ redrives: [show('done', 4, 4, 0)], nextCursor: null }),
  })
  for (const [verb, state] of [
    ['cancel', 'cancelled'],
    ['resume', 'running'],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/redrives/:id/${verb}`,
      schema: { body: z.strictObject({ by: z.string() }) },
      handler: () => show(state, 1, 0, 1),
    })
  }
}

function addGroupRoutes(app: App): void {
  const group = {
    groupId: 'group-1',
    fingerprint: 'c0ffee',
    consumer: 'inventory-service.kafka',
    type: 'order.placed.v1',
    reason: 'poison',
    errorCode: 'poison',
    errorMessage: 'body.lines: Invalid input',
    open: 2,
    redriving: 0,
    resolved: 7,
    archived: 0,
    firstSeenAt: '2026-01-31T10:00:00.000Z',
    lastSeenAt: '2026-01-31T10:00:01.000Z',
    ignoredUntil: null,
    ignoredUntilCount: null,
  }
  app.route({
    method: 'GET',
    url: '/groups',
    handler: () => ({ groups: [group], nextCursor: null }),
  })
  app.route({ method: 'GET', url: '/groups/:id', handler: () => group })
  app.route({
    method: 'POST',
    url: '/groups/:id/ignore',
    schema: {
      body: z.strictObject({
        until: z.iso.datetime().optional(),
        untilCount: z.int().optional(),
        ...onRecord,
      }),
    },
    handler: () => group,
  })
  app.route({
    method: 'DELETE',
    url: '/groups/:id/ignore',
    handler: (_request, reply) => reply.code(204).send(),
  })
}
