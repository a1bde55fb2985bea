import { deadLetterReason, instant } from '@edp/event-schemas'
import { queryNumber } from '@edp/runtime/http'
import { z } from 'zod'

/** What people send and see: the schemas of `http.ts`. */

const pageMax = 100
const pageDefault = 20
const lettersNamedMax = 1000
const ratePerSecondMax = 1000
const bodyLengthMax = 200_000

// Control characters have no business in a name, and Postgres cannot store NUL or half a surrogate pair.
const printable = /^\P{C}*$/u
const notPrintable = 'expected text without control characters'
const printableText = (lengthMax: number) =>
  z.string().min(1).max(lengthMax).regex(printable, notPrintable)
/** Text of several lines. */
const prose = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^(?:\P{C}|[\n\r\t])*$/u, notPrintable)

const uuid = z.uuid().toLowerCase()
const count = z.int().nonnegative()
const by = printableText(200).describe('who does it')
const why = prose(1000)

/** For routes without a query string: what is not known is refused everywhere. */
export const noQuery = z.strictObject({})
/** `:id` in a path. */
export const idPath = z.strictObject({ id: uuid })

const limit = queryNumber(1, pageMax).default(pageDefault)

const letterStatus = z.enum(['open', 'redriving', 'resolved', 'archived'])
// Trigrams: what is shorter finds everything and nothing.
const search = printableText(200)
  .min(3)
  .describe('part of the type, the key, the error or the beginning of the body')

const filters = {
  consumer: printableText(200).optional(),
  type: printableText(1000).optional(),
  reason: deadLetterReason.optional(),
}

/** Who did something, and why. */
export const actBody = z.strictObject({ by, why })
export const byBody = z.strictObject({ by })
/** For a DELETE, which many clients send without a body. */
export const undoBody = z
  .strictObject({ by: by.default('an operator'), why: why.optional() })
  .nullish()
export const noteBody = z.strictObject({ by, text: prose(10_000) })
export const bodyBody = z.strictObject({
  body: z.string().max(bodyLengthMax).describe('the corrected body, as JSON text'),
  by,
  why,
})
export const ignoreBody = z
  .strictObject({
    until: instant.optional(),
    untilCount: z.int().positive().max(2_000_000_000).optional().describe('of open letters'),
    by,
    why,
  })
  .refine(({ until, untilCount }) => until !== undefined || untilCount !== undefined, {
    message: 'expected until, untilCount or both',
  })

export const groupsQuery = z.strictObject({
  status: letterStatus.optional().describe('groups that have such letters'),
  ...filters,
  q: search.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}_[0-9a-f-]{36}$/, 'expected the nextCursor of the page before')
    .optional(),
  limit,
})
export type GroupsQuery = z.infer<typeof groupsQuery>

export const groupView = z.strictObject({
  groupId: z.string(),
  fingerprint: z.string(),
  consumer: z.string(),
  type: z.string().nullable(),
  reason: deadLetterReason,
  errorCode: z.string(),
  errorMessage: z.string().describe('of the letter that failed last'),
  open: count,
  redriving: count,
  resolved: count,
  archived: count,
  firstSeenAt: instant,
  lastSeenAt: instant,
  ignoredUntil: instant.nullable(),
  ignoredUntilCount: z.int().nullable(),
})
export type GroupView = z.infer<typeof groupView>
export const groupsPage = z.strictObject({
  groups: z.array(groupView),
  nextCursor: z.string().nullable(),
})
export type GroupsPage = z.infer<typeof groupsPage>

export const lettersQuery = z.strictObject({
  status: letterStatus.optional(),
  ...filters,
  group: uuid.optional(),
  key: printableText(1000).optional(),
  q: search.optional(),
  cursor: uuid.optional(),
  limit,
})
export type LettersQuery = z.infer<typeof lettersQuery>

export const letterView = z.strictObject({
  letterId: z.string(),
  consumer: z.string(),
  messageId: z.string(),
  source: z.enum(['kafka', 'rabbitmq', 'outbox', 'due-work', 'dlq']),
  position: z.string(),
  type: z.string().nullable(),
  key: z.string().nullable(),
  correlationId: z.string().nullable(),
  causationId: z.string().nullable(),
  traceparent: z.string().nullable(),
  reason: deadLetterReason,
  error: z.strictObject({ code: z.string(), message: z.string() }),
  attempts: count,
  firstFailedAt: instant,
  lastFailedAt: instant,
  fingerprint: z.string(),
  groupId: z.string(),
  status: letterStatus,
  outcome: z.enum(['applied', 'already-applied', 'discarded']).nullable(),
  waitingBehind: count,
  redriveId: z.string().nullable(),
  hasCorrectedBody: z.boolean(),
})
export type LetterView = z.infer<typeof letterView>
export const lettersPage = z.strictObject({
  letters: z.array(letterView),
  nextCursor: z.string().nullable(),
})
export type LettersPage = z.infer<typeof lettersPage>

export const auditView = z.strictObject({
  auditId: z.string(),
  at: instant,
  by: z.string(),
  action: z.string(),
  letterId: z.string().nullable(),
  groupId: z.string().nullable(),
  redriveId: z.string().nullable(),
  why: z.string().nullable(),
  before: z.record(z.string(), z.unknown()).nullable(),
  after: z.record(z.string(), z.unknown()).nullable(),
})
export type AuditView = z.infer<typeof auditView>
export const auditQuery = z.strictObject({
  letter: uuid.optional(),
  group: uuid.optional(),
  redrive: uuid.optional(),
  cursor: uuid.optional(),
  limit,
})
export type AuditQuery = z.infer<typeof auditQuery>
export const auditPage = z.strictObject({
  entries: z.array(auditView),
  nextCursor: z.string().nullable(),
})
export type AuditPage = z.infer<typeof auditPage>

export const noteView = z.strictObject({
  noteId: z.string(),
  by: z.string(),
  text: z.string(),
  at: instant,
})

export const letterDetail = letterView.extend({
  error: z.strictObject({
    code: z.string(),
    message: z.string(),
    stack: z.string().nullable(),
  }),
  content: z.strictObject({
    headers: z.record(z.string(), z.string()),
    body: z.string(),
    encoding: z.enum(['utf8', 'base64']),
    bytes: count.describe('of the whole body; the first 64 KiB may be here'),
  }),
  correctedBody: z.string().nullable(),
  notes: z.array(noteView),
  history: z.array(auditView).describe('the newest 1000 entries, the oldest first'),
})
export type LetterDetail = z.infer<typeof letterDetail>

export const correctedView = z.strictObject({
  letterId: z.string(),
  correctedBody: z.string(),
  diff: z.array(
    z.strictObject({
      path: z.string().describe('lines.0.quantity; empty: the whole body'),
      before: z.unknown().optional(),
      after: z.unknown().optional(),
    }),
  ),
})

const selection = z
  .strictObject({
    letters: z.array(uuid).min(1).max(lettersNamedMax).optional(),
    group: uuid.optional(),
    ...filters,
    all: z.literal(true).optional(),
  })
  .refine((given) => Object.values(given).some((value) => value !== undefined), {
    message: 'expected what to select: letters, group, consumer, type, reason, or all',
  })

export const redriveBody = z.strictObject({
  selection: selection.describe('open letters that fit all of it'),
  dryRun: z.boolean().default(false),
  canary: count.max(10_000).default(0).describe('so many first; the others when they are resolved'),
  ratePerSecond: z.int().positive().max(ratePerSecondMax).default(50),
  by,
  why,
})
export type RedriveBody = z.infer<typeof redriveBody>

export const dryRunView = z.strictObject({
  selected: count,
  notTakenBack: count.describe('open letters of the selection that no consumer takes back'),
  sample: z.array(letterView),
})
export type DryRunView = z.infer<typeof dryRunView>

export const redriveView = z.strictObject({
  redriveId: z.string(),
  state: z.enum(['running', 'paused', 'done', 'cancelled']),
  selection: z.record(z.string(), z.unknown()),
  by: z.string(),
  why: z.string(),
  ratePerSecond: count,
  canary: z.strictObject({
    letters: count,
    result: z.enum(['none', 'pending', 'passed', 'failed', 'overridden']),
  }),
  progress: z.strictObject({
    selected: count,
    pending: count.describe('not sent yet'),
    sent: count.describe('sent, by now or before'),
    resolved: count,
    failed: count,
    skipped: count.describe('not open any more when it was their turn'),
  }),
  createdAt: instant,
  endedAt: instant.nullable(),
})
export type RedriveView = z.infer<typeof redriveView>
export const redrivesQuery = z.strictObject({
  state: z.enum(['running', 'paused', 'done', 'cancelled']).optional(),
  cursor: uuid.optional(),
  limit,
})
export type RedrivesQuery = z.infer<typeof redrivesQuery>
export const redrivesPage = z.strictObject({
  redrives: z.array(redriveView),
  nextCursor: z.string().nullable(),
})
export type RedrivesPage = z.infer<typeof redrivesPage>
