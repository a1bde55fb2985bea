import { z } from 'zod'
import { command, type Context, type Output } from './command.ts'
import { CommandFailed } from './failures.ts'
import { withNext } from './letters.ts'
import { choice, count, moment, onRecord, paging, requiredText, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatSection, formatTable } from './table.ts'

const sagaStatuses = [
  'running',
  'compensating',
  'fencing',
  'needs_human',
  'completed',
  'compensated',
] as const

const sagaView = z.looseObject({
  sagaId: z.string(),
  status: z.string(),
  step: z.string().nullable(),
  direction: z.string().nullable(),
  attempt: z.int().nullable(),
  dueAt: z.string().nullable(),
  trouble: z.string().nullable(),
  cause: z.record(z.string(), z.unknown()).nullable(),
  skipped: z.array(z.string()),
  deadlineAt: z.string().nullable(),
  version: z.int(),
  startedAt: z.string(),
  changedAt: z.string(),
})
type SagaView = z.infer<typeof sagaView>
const sagasPage = z.looseObject({ sagas: z.array(sagaView), nextCursor: z.string().nullable() })
const sagaDetail = sagaView.extend({
  remainingSteps: z
    .array(z.looseObject({ step: z.string(), direction: z.string(), underWay: z.boolean() }))
    .nullable(),
  log: z.array(
    z.looseObject({
      at: z.string(),
      version: z.int(),
      input: z.looseObject({ kind: z.string() }),
      note: z.string(),
      actor: z.string(),
      reason: z.string().nullable(),
    }),
  ),
})

const list = command({
  name: 'sagas list',
  summary: 'sagas, the newest first',
  options: {
    status: choice(sagaStatuses, 'only those; needs_human waits for a person'),
    step: text('STEP', 'only those in this step: reserve, charge, confirm'),
    'older-than': moment('ago', 'only those that were started before'),
    ...paging,
  },
  run: async ({ client, terminal }, _, { 'older-than': olderThan, ...query }) => {
    const { body, document } = await client('order-service').request(sagasPage, 'GET', '/sagas', {
      query: { ...query, olderThan },
    })
    const table = formatTable(
      body.sagas,
      [
        ['SAGA', (saga) => saga.sagaId],
        ['STATUS', (saga) => saga.status],
        ['AGE', (saga) => age(saga.startedAt)],
        ['STEP', stepOf],
        ['ATTEMPT', (saga) => saga.attempt],
        ['TROUBLE', (saga) => saga.trouble],
        ['VERSION', (saga) => saga.version],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.sagas.length === 0 ? 'no sagas' : withNext(table, body.nextCursor),
    }
  },
})

const show = command({
  name: 'sagas show',
  summary: 'one saga: where it is, what it will still do, and every decision so far',
  args: { saga: requiredText('SAGA', 'the id of the saga, which is that of its order') },
  run: async (context, { saga }) => {
    const { body, document } = await readSaga(context, saga)
    const remaining = (body.remainingSteps ?? []).map(
      ({ step, direction, underWay }) => `${direction} ${step}${underWay ? ', under way' : ''}`,
    )
    const log = formatTable(body.log, [
      ['AT', (entry) => entry.at],
      ['VERSION', (entry) => entry.version],
      ['INPUT', (entry) => entry.input.kind],
      ['NOTE', (entry) => entry.note],
      ['BY', (entry) => entry.actor],
      ['WHY', (entry) => entry.reason],
    ])
    return {
      document,
      text:
        describeSaga(body) +
        formatSection('remaining steps', remaining.join('\n')) +
        formatSection('log', log),
    }
  },
})

const summaries = {
  retry: 'sends the command that is under way again, at once',
  skip: 'waits no longer for an undo, on record, and goes on with the one before it',
  cancel: 'gives the saga up, before its pivot: what was done is undone',
} as const

const verbs = (['retry', 'skip', 'cancel'] as const).map((verb) =>
  command({
    name: `sagas ${verb}`,
    summary: summaries[verb],
    details:
      'Acts on the saga as it is now, or with --version only as you have seen it: refused when it has changed since.',
    args: { saga: requiredText('SAGA', 'the id of the saga, which is that of its order') },
    options: { version: count('N', 'the version that you have seen'), ...onRecord },
    run: (context, { saga }, options) => intervene(context, saga, { verb, ...options }),
  }),
)

/** Commands of sagas. */
export const sagaCommands = [list, show, ...verbs]

interface Intervention {
  readonly verb: 'retry' | 'skip' | 'cancel'
  readonly version?: number | undefined
  readonly by?: string | undefined
  readonly why: string
}

/** The saga goes on by itself (its timer sends again) between the reading and the acting: then it is read once more. */
const readsMax = 5

async function intervene(context: Context, saga: string, options: Intervention): Promise<Output> {
  const { version } = options
  if (version !== undefined) return await act(context, saga, `"${version}"`, options)
  const seen = await readSaga(context, saga)
  for (let reads = 1, now = seen; ; reads += 1) {
    try {
      return await act(context, saga, etagOf(now.headers), options)
    } catch (error) {
      const hasChanged = error instanceof CommandFailed && error.problem?.status === 412
      if (!hasChanged || reads === readsMax) throw error
      now = await readSaga(context, saga)
      if (placeOf(now.body) !== placeOf(seen.body)) throw error
    }
  }
}

async function act(
  { client, terminal }: Context,
  saga: string,
  etag: string,
  { verb, by = terminal.user, why }: Intervention,
): Promise<Output> {
  const path = pathOf`/sagas/${saga}/${verb}`
  const { body, document } = await client('order-service').request(sagaView, 'POST', path, {
    headers: { 'if-match': etag },
    body: { actor: by, reason: why },
  })
  return { document, text: describeSaga(body) }
}

/** Where a saga is, but for how often it has tried. */
function placeOf({ status, step, direction }: SagaView): string {
  return JSON.stringify([status, step, direction])
}

function etagOf(headers: Headers): string {
  const etag = headers.get('etag')
  if (etag === null) throw new CommandFailed('order-service told no version (ETag) of the saga')
  return etag
}

function readSaga({ client }: Context, saga: string) {
  return client('order-service').request(sagaDetail, 'GET', pathOf`/sagas/${saga}`)
}

function stepOf({ step, direction }: SagaView): string | null {
  return step === null ? null : `${direction} ${step}`
}

function describeSaga(saga: SagaView): string {
  const { cause, skipped } = saga
  return formatFields([
    ['saga', saga.sagaId],
    ['status', saga.status],
    ['step', stepOf(saga)],
    ['attempt', saga.attempt],
    ['trouble', saga.trouble],
    ['cause', cause === null ? null : JSON.stringify(cause)],
    ['skipped', skipped.join(', ')],
    ['next try', saga.dueAt],
    ['deadline', saga.deadlineAt],
    ['version', saga.version],
    ['started', saga.startedAt],
    ['changed', saga.changedAt],
  ])
}
