import type { DeadRowDetail, DeadRowSummary } from '@edp/outbox/drain'
import { queryNumber } from '@edp/runtime/http'
import { z } from 'zod'

/** What operators send and see of rows that can never be published: the schemas of `http.ts`. */

const pageMax = 100
const pageDefault = 20

// Control characters have no business in a name or a reason.
const printable = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^\P{C}*$/u, 'expected text without control characters')

const databaseName = z.string().regex(/^[a-z][a-z0-9_-]*$/, 'expected the name of a database')
const transport = z.enum(['kafka', 'rabbitmq'])
const status = z.enum(['dead', 'waiting'])
const instant = z.iso.datetime()

/** A whole number as text; ids start at 1. */
const rowId = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, 'expected the id of a row')
  .transform(Number)

/** Where a page ended: `orders/kafka/1207`. */
const cursor = z
  .string()
  .regex(/^[a-z][a-z0-9_-]*\/(kafka|rabbitmq)\/[1-9]\d{0,14}$/, 'expected the nextCursor of a page')

/** For routes without a query string: what is not known is refused everywhere. */
export const noQuery = z.strictObject({})

/** What `GET /dead-rows` filters by. They come by database, transport and id; a cursor is the last one of a page. */
export const deadRowsQuery = z.strictObject({
  database: databaseName.optional(),
  status: status.optional(),
  cursor: cursor.optional(),
  limit: queryNumber(1, pageMax).default(pageDefault),
})
export type DeadRowsQuery = z.infer<typeof deadRowsQuery>

/** `:database/:transport/:id` in a path. */
export const deadRowPath = z.strictObject({ database: databaseName, transport, id: rowId })
export type DeadRowPath = z.infer<typeof deadRowPath>

/** Who does it, and why: both are logged. */
const operator = { by: printable(200), why: printable(1000) }

/** A row goes back, as it was or with another payload. Its message id, type and key stay what they are. */
export const putBackBody = z.strictObject({
  payload: z.record(z.string(), z.unknown()).optional(),
  ...operator,
})
export type PutBackBody = z.infer<typeof putBackBody>

/** A row is given up. */
export const discardBody = z.strictObject(operator)

/** A row that is dead or waits behind a dead one. */
export const deadRowView = z.strictObject({
  database: z.string(),
  transport,
  id: z.int(),
  messageId: z.string(),
  destination: z.string(),
  key: z.string(),
  type: z.string(),
  status,
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  payloadBytes: z.int(),
  createdAt: instant,
  movedAt: instant,
})
export type DeadRowView = z.infer<typeof deadRowView>

/** The same with its content. */
export const deadRowDetail = deadRowView.extend({
  payload: z.unknown(),
  headers: z.unknown(),
  waitingBehind: z.int().describe('rows of its key that come after it and wait'),
  waitsFor: z.int().nullable().describe('the dead row of its key that it waits for'),
})

export const deadRowsPage = z.strictObject({
  deadRows: z.array(deadRowView),
  nextCursor: z.string().nullable(),
})
export type DeadRowsPage = z.infer<typeof deadRowsPage>

/** What came of putting a row back, or of giving it up. */
export const settledView = z.strictObject({
  database: z.string(),
  transport,
  id: z.int(),
  messageId: z.string(),
  outcome: z.enum(['put-back', 'discarded']),
  followers: z.int().describe('rows that waited for it and are back in the outbox'),
})
export type SettledView = z.infer<typeof settledView>

/** Shows a row. */
export function viewDeadRow(database: string, row: DeadRowSummary): DeadRowView {
  return {
    database,
    transport: row.transport,
    id: row.id,
    messageId: row.messageId,
    destination: row.destination,
    key: row.key,
    type: row.type,
    status: row.status,
    errorCode: row.errorCode,
    errorMessage: row.errorMessage,
    payloadBytes: row.payloadBytes,
    createdAt: row.createdAt.toISOString(),
    movedAt: row.movedAt.toISOString(),
  }
}

/** Shows a row with what it holds. */
export function viewDeadRowDetail(
  database: string,
  row: DeadRowDetail,
): z.infer<typeof deadRowDetail> {
  const { waitingBehind, waitsFor } = row
  return {
    ...viewDeadRow(database, row),
    payload: JSON.parse(row.payload),
    headers: JSON.parse(row.headers),
    waitingBehind,
    waitsFor,
  }
}
