import type { Transport } from '@edp/event-schemas'
import type { Tx } from '@edp/runtime'
import type { z } from 'zod'
import { findDead, listDead } from './dead-statements.ts'

/** A row that is dead or waits behind a dead one, without its content. */
export interface DeadRowSummary {
  readonly transport: Transport
  readonly id: number
  readonly messageId: string
  readonly destination: string
  readonly key: string
  readonly type: string
  readonly status: 'dead' | 'waiting'
  /** What its broker said; null of one that waits. */
  readonly errorCode: string | null
  readonly errorMessage: string | null
  readonly payloadBytes: number
  readonly createdAt: Date
  readonly movedAt: Date
}

/** The same with its content. */
export interface DeadRowDetail extends DeadRowSummary {
  /** JSON. */
  readonly payload: string
  /** JSON. */
  readonly headers: string
  /** How many rows of its key come after it and wait. */
  readonly waitingBehind: number
  /** The id of the last dead row of its key before it. */
  readonly waitsFor: number | null
}

/** The rows of a transport that are dead or wait, by id. */
export async function listDeadRows(
  tx: Tx,
  options: {
    transport: Transport
    /** The id before the first. */
    after: number
    status: 'dead' | 'waiting' | undefined
    rowsMax: number
  },
): Promise<DeadRowSummary[]> {
  const { transport, after, status, rowsMax } = options
  const rows = await tx.run(listDead, [transport, after, status ?? null, rowsMax])
  return rows.map(summaryOf)
}

/** One row that is dead or waits; undefined when it is not there, or no longer. */
export async function findDeadRow(
  tx: Tx,
  transport: Transport,
  id: number,
): Promise<DeadRowDetail | undefined> {
  const [row] = await tx.run(findDead, [transport, id])
  if (row === undefined) return undefined
  const { payload, headers, waiting_behind: waitingBehind, waits_for: waitsFor } = row
  return { ...summaryOf(row), payload, headers, waitingBehind, waitsFor }
}

function summaryOf(row: z.infer<typeof listDead.row>): DeadRowSummary {
  return {
    transport: row.transport,
    id: row.id,
    messageId: row.message_id,
    destination: row.destination,
    key: row.key,
    type: row.type,
    status: row.status,
    errorCode: row.error_code,
    errorMessage: row.error_message,
    payloadBytes: row.payload_bytes,
    createdAt: row.created_at,
    movedAt: row.moved_at,
  }
}
