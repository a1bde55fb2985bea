import { discardDeadRow, type LockedDeadRow, lockDeadRow, putBackDeadRow } from '@edp/outbox/drain'
import type { Database, Logger } from '@edp/runtime'
import type { DeadRowPath } from './api.ts'
import { checkPayload, type PayloadProblem } from './check-payload.ts'

/** What settling a dead row needs. */
export interface SettleContext {
  readonly database: Database
  readonly namespace: string
  readonly logger: Logger
}

/** Which row, what becomes of it, who wants that and why. */
export type Settlement = DeadRowPath & { readonly by: string; readonly why: string } & (
    | {
        readonly verb: 'put-back'
        readonly payload?: Readonly<Record<string, unknown>> | undefined
      }
    | { readonly verb: 'discard' }
  )

/** What came of it. */
export type Settled =
  | { readonly kind: 'not-found' }
  | { readonly kind: 'waiting' }
  | { readonly kind: 'bad-payload'; readonly problems: readonly PayloadProblem[] }
  | { readonly kind: 'done'; readonly messageId: string; readonly followers: number }

/**
 * Puts a dead row back, or gives it up, with those that wait behind it, in one transaction. Who did it and why is a line of the
 * log; that it happened is also the fact `message.resolved`, in the same transaction. Done twice, the second finds nothing.
 */
export async function settleDeadRow(
  { database, namespace, logger }: SettleContext,
  settlement: Settlement,
): Promise<Settled> {
  const { transport, id, verb, by, why } = settlement
  const at = { database: settlement.database, namespace, now: new Date() }
  let changed: readonly string[] = []
  const settled = await database.transaction(async (tx): Promise<Settled> => {
    const row = await lockDeadRow(tx, transport, id)
    if (row === undefined) return { kind: 'not-found' }
    if (row.status === 'waiting') return { kind: 'waiting' }
    const { messageId } = row
    if (settlement.verb === 'discard') {
      return { kind: 'done', messageId, followers: await discardDeadRow(tx, row, at) }
    }
    const repaired = repair(row, settlement.payload)
    if (!repaired.ok) return { kind: 'bad-payload', problems: repaired.problems }
    changed = repaired.changed
    const followers = await putBackDeadRow(tx, row, { ...at, ...repaired.payload })
    return { kind: 'done', messageId, followers }
  })
  if (settled.kind === 'done') {
    const { messageId, followers } = settled
    const fields = { database: settlement.database, transport, id, messageId, followers }
    logger.info({ ...fields, verb, by, why, changed }, 'an operator settled a dead row')
  }
  return settled
}

function repair(row: LockedDeadRow, payload: Readonly<Record<string, unknown>> | undefined) {
  if (payload === undefined) return { ok: true, payload: {}, changed: [] } as const
  const checked = checkPayload(row, payload)
  if (!checked.ok) return checked
  return { ok: true, payload: { payload: checked.text }, changed: checked.changed } as const
}
