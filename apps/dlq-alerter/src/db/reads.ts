import { redriveServices } from '@edp/event-schemas'
import { and, asc, desc, eq, gt, inArray, like, lt, not, or, type SQL, sql } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import type {
  AuditPage,
  AuditQuery,
  AuditView,
  DryRunView,
  GroupsPage,
  GroupsQuery,
  GroupView,
  LetterDetail,
  LettersPage,
  LettersQuery,
  LetterView,
} from '../api.ts'
import type { Selection } from './redrives.ts'
import { auditEntries, letterGroups, letterNotes, letters, letterTexts } from './schema.ts'

/** What HTTP reads: plain queries, outside of any transaction. */
export type Reads = NodePgDatabase

const historyMax = 1000
const notesMax = 1000
const sampleMax = 20

/** Opens the reads over an ordinary pool, never the pipelined connections of the transactions. */
export function openReads(pool: Pool): Reads {
  return drizzle(pool, { casing: 'snake_case' })
}

/** Of a letter everything but what is long: the stack and the content. */
const listed = {
  letterId: letters.letterId,
  consumer: letters.consumer,
  messageId: letters.messageId,
  source: letters.source,
  position: letters.position,
  type: letters.type,
  key: letters.key,
  correlationId: letters.correlationId,
  causationId: letters.causationId,
  traceparent: letters.traceparent,
  reason: letters.reason,
  errorCode: letters.errorCode,
  errorMessage: letters.errorMessage,
  attempts: letters.attempts,
  firstFailedAt: letters.firstFailedAt,
  lastFailedAt: letters.lastFailedAt,
  fingerprint: letters.fingerprint,
  groupId: letters.groupId,
  status: letters.status,
  outcome: letters.outcome,
  waitingBehind: letters.waitingBehind,
  redriveId: letters.redriveId,
  hasCorrectedBody: sql<boolean>`${letters.correctedBody} is not null`,
}
type Listed = Omit<LetterView, 'error' | 'firstFailedAt' | 'lastFailedAt'> & {
  errorCode: string
  errorMessage: string
  firstFailedAt: Date
  lastFailedAt: Date
}

/** A page of letters, the newest first. */
export async function listLetters(reads: Reads, query: LettersQuery): Promise<LettersPage> {
  const { status, group, key, q, cursor, limit } = query
  const rows = await reads
    .select(listed)
    .from(letters)
    .where(
      and(
        ...filtersOf(query),
        status && eq(letters.status, status),
        group ? eq(letters.groupId, group) : undefined,
        key === undefined
          ? undefined
          : and(eq(sql`left(${letters.key}, 200)`, sql`left(${key}, 200)`), eq(letters.key, key)),
        q === undefined
          ? undefined
          : inArray(
              letters.letterId,
              reads
                .select({ letterId: letterTexts.letterId })
                .from(letterTexts)
                .where(like(letterTexts.text, likePattern(q))),
            ),
        cursor ? lt(letters.letterId, cursor) : undefined,
      ),
    )
    .orderBy(desc(letters.letterId))
    .limit(limit + 1)
  const page = rows.slice(0, limit).map(viewLetter)
  const nextCursor = rows.length > limit ? (page.at(-1)?.letterId ?? null) : null
  return { letters: page, nextCursor }
}

function filtersOf(query: {
  consumer?: string | undefined
  type?: string | undefined
  reason?: string | undefined
}): (SQL | undefined)[] {
  const { consumer, type, reason } = query
  return [
    consumer === undefined ? undefined : eq(letters.consumer, consumer),
    type === undefined ? undefined : eq(letters.type, type),
    reason === undefined ? undefined : sql`${letters.reason} = ${reason}`,
  ]
}

/** Finds the text anywhere, whatever is in it. */
function likePattern(text: string): string {
  return `%${text.toLowerCase().replaceAll(/[\\%_]/g, String.raw`\$&`)}%`
}

/** One letter with all that is known of it. */
export async function findLetter(
  reads: Reads,
  letterId: string,
): Promise<LetterDetail | undefined> {
  const [row] = await reads
    .select({
      ...listed,
      errorStack: letters.errorStack,
      headers: letters.headers,
      body: letters.body,
      encoding: letters.encoding,
      bytes: letters.bytes,
      correctedBody: letters.correctedBody,
    })
    .from(letters)
    .where(eq(letters.letterId, letterId))
  if (!row) return undefined
  const [notes, history] = await Promise.all([notesOf(reads, letterId), historyOf(reads, letterId)])
  const { errorStack, headers, body, encoding, bytes, correctedBody, ...rest } = row
  const view = viewLetter(rest)
  return {
    ...view,
    error: { ...view.error, stack: errorStack },
    content: { headers, body, encoding, bytes },
    correctedBody,
    notes,
    history: history.toReversed(),
  }
}

async function notesOf(reads: Reads, letterId: string): Promise<LetterDetail['notes']> {
  const rows = await reads
    .select()
    .from(letterNotes)
    .where(eq(letterNotes.letterId, letterId))
    .orderBy(asc(letterNotes.noteId))
    .limit(notesMax)
  return rows.map(({ noteId, by, text, at }) => ({ noteId, by, text, at: at.toISOString() }))
}

async function historyOf(reads: Reads, letterId: string): Promise<AuditView[]> {
  const { entries } = await listAudit(reads, { letter: letterId, limit: historyMax })
  return entries
}

/** A page of what was done, the newest first. */
export async function listAudit(reads: Reads, query: AuditQuery): Promise<AuditPage> {
  const { letter, group, redrive, cursor, limit } = query
  const rows = await reads
    .select()
    .from(auditEntries)
    .where(
      and(
        letter ? eq(auditEntries.letterId, letter) : undefined,
        group ? eq(auditEntries.groupId, group) : undefined,
        redrive ? eq(auditEntries.redriveId, redrive) : undefined,
        cursor ? lt(auditEntries.auditId, cursor) : undefined,
      ),
    )
    .orderBy(desc(auditEntries.auditId))
    .limit(limit + 1)
  const entries = rows.slice(0, limit).map(viewEntry)
  return {
    entries,
    nextCursor: rows.length > limit ? (entries.at(-1)?.auditId ?? null) : null,
  }
}

/** A page of groups, those that failed last first. */
export async function listGroups(reads: Reads, query: GroupsQuery): Promise<GroupsPage> {
  const { status, consumer, type, reason, q, limit } = query
  const rows = await reads
    .select()
    .from(letterGroups)
    .where(
      and(
        status && gt(letterGroups[status], 0),
        consumer === undefined ? undefined : eq(letterGroups.consumer, consumer),
        type === undefined ? undefined : eq(letterGroups.type, type),
        reason && eq(letterGroups.reason, reason),
        q === undefined
          ? undefined
          : sql`lower(coalesce(${letterGroups.type}, '') || ' ' || ${letterGroups.errorCode} || ' ' || ${letterGroups.errorMessage})
              like ${likePattern(q)}`,
        afterGroup(query.cursor),
      ),
    )
    .orderBy(desc(letterGroups.lastSeenAt), desc(letterGroups.groupId))
    .limit(limit + 1)
  const groups = rows.slice(0, limit)
  const last = rows.length > limit ? groups.at(-1) : undefined
  return {
    groups: groups.map(viewGroup),
    nextCursor: last ? `${last.lastSeenAt.getTime()}_${last.groupId}` : null,
  }
}

function afterGroup(cursor: string | undefined): SQL | undefined {
  if (cursor === undefined) return undefined
  const [timeMs = '', groupId = ''] = cursor.split('_')
  const at = new Date(Number(timeMs))
  return or(
    lt(letterGroups.lastSeenAt, at),
    and(eq(letterGroups.lastSeenAt, at), lt(letterGroups.groupId, groupId)),
  )
}

/** One group. */
export async function findGroup(reads: Reads, groupId: string): Promise<GroupView | undefined> {
  const [row] = await reads.select().from(letterGroups).where(eq(letterGroups.groupId, groupId))
  return row && viewGroup(row)
}

/** What a redrive of a selection would send. */
export async function dryRun(reads: Reads, selection: Selection): Promise<DryRunView> {
  const takenBack = inArray(sql`split_part(${letters.consumer}, '.', 1)`, [...redriveServices])
  const selected = and(
    eq(letters.status, 'open'),
    ...filtersOf(selection),
    selection.letters ? inArray(letters.letterId, [...selection.letters]) : undefined,
    selection.group ? eq(letters.groupId, selection.group) : undefined,
  )
  const [count, refused, sample] = await Promise.all([
    reads.$count(letters, and(selected, takenBack)),
    reads.$count(letters, and(selected, not(takenBack))),
    reads
      .select(listed)
      .from(letters)
      .where(and(selected, takenBack))
      .orderBy(asc(letters.letterId))
      .limit(sampleMax),
  ])
  return { selected: count, notTakenBack: refused, sample: sample.map(viewLetter) }
}

function viewEntry(row: typeof auditEntries.$inferSelect): AuditView {
  return { ...row, at: row.at.toISOString() }
}

function viewLetter({ errorCode, errorMessage, ...row }: Listed): LetterView {
  return {
    ...row,
    error: { code: errorCode, message: errorMessage },
    firstFailedAt: row.firstFailedAt.toISOString(),
    lastFailedAt: row.lastFailedAt.toISOString(),
  }
}

function viewGroup(row: typeof letterGroups.$inferSelect): GroupView {
  return {
    ...row,
    firstSeenAt: row.firstSeenAt.toISOString(),
    lastSeenAt: row.lastSeenAt.toISOString(),
    ignoredUntil: row.ignoredUntil?.toISOString() ?? null,
  }
}
