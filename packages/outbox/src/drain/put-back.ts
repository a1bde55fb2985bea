import {
  messageResolvedV1,
  type MessageResolvedV1,
  outgoing,
  type Transport,
} from '@edp/event-schemas'
import type { Tx } from '@edp/runtime'
import { enqueue } from '../enqueue.ts'
import { coordinationOf, relayConsumer, relaySource, textHeaders } from './dead-letter.ts'
import { deleteDead, lockDead, raiseEpoch, releaseRows, returnDead } from './dead-statements.ts'

/** A row of `outbox_dead`, locked by the transaction that read it. */
export interface LockedDeadRow {
  readonly transport: Transport
  readonly id: number
  readonly messageId: string
  readonly destination: string
  readonly key: string
  readonly type: string
  /** JSON. */
  readonly payload: string
  readonly headers: Readonly<Record<string, string>>
  readonly status: 'dead' | 'waiting'
}

/** Where a dead row lies, for the fact that says what became of it. */
export interface ResolvedAt {
  /** The name of the database, as in the dead letter. */
  readonly database: string
  readonly namespace: string
  readonly now: Date
}

/** Takes a row that is dead or waits, for this transaction; undefined when it is not there, or no longer. */
export async function lockDeadRow(
  tx: Tx,
  transport: Transport,
  id: number,
): Promise<LockedDeadRow | undefined> {
  const [row] = await tx.run(lockDead, [transport, id])
  if (row === undefined) return undefined
  const { message_id: messageId, headers, ...rest } = row
  return { ...rest, messageId, headers: textHeaders(headers) }
}

/**
 * Brings a dead row, and those of its key that wait behind it alone, back to the outbox with their old ids. They are published as
 * any row is, the repaired one first, and the relay that has the lease notices by itself. Enqueues `message.resolved` as
 * `applied`, which says that the row is on its way and not that its broker took it: one that is refused again is dead again, and
 * says so in another dead letter. Gives how many came back behind it.
 * @param options `payload` is JSON text instead of the row's own
 */
export async function putBackDeadRow(
  tx: Tx,
  row: LockedDeadRow,
  options: ResolvedAt & { payload?: string },
): Promise<number> {
  const lease = await takeFromRelay(tx, row)
  void tx.execute(returnDead, [row.transport, row.id, options.payload ?? null])
  enqueueResolved(tx, row, { ...options, outcome: 'applied' })
  return await release(tx, row, lease)
}

/**
 * Gives a dead row up: it will never be published. Those of its key that wait behind it alone go back to the outbox. Enqueues
 * `message.resolved` as `discarded`. Gives how many came back.
 */
export async function discardDeadRow(
  tx: Tx,
  row: LockedDeadRow,
  options: ResolvedAt,
): Promise<number> {
  const lease = await takeFromRelay(tx, row)
  void tx.execute(deleteDead, [row.transport, row.id])
  enqueueResolved(tx, row, { ...options, outcome: 'discarded' })
  return await release(tx, row, lease)
}

type Fence = { readonly owner: string; readonly epoch: number }

// First of all: what the relay was about to move behind the row is moved by now, or will not be any more.
async function takeFromRelay(tx: Tx, { transport }: LockedDeadRow): Promise<Fence> {
  const [raised] = await tx.run(raiseEpoch, [transport])
  if (raised === undefined) throw new Error('Postgres gave no epoch')
  return raised
}

async function release(tx: Tx, row: LockedDeadRow, { owner, epoch }: Fence): Promise<number> {
  const { transport, destination, key } = row
  const values = [transport, owner, epoch, destination, key, false]
  const [released] = await tx.run(releaseRows, values)
  return released?.rows ?? 0
}

function enqueueResolved(
  tx: Tx,
  { transport, messageId, headers }: LockedDeadRow,
  options: ResolvedAt & { outcome: MessageResolvedV1['outcome'] },
): void {
  const { database, namespace, now, outcome } = options
  const body = { consumer: relayConsumer(database), messageId, outcome, redriveId: null }
  enqueue(tx, [outgoing(messageResolvedV1, messageId, body)], {
    source: relaySource,
    namespace,
    now,
    coordination: coordinationOf(transport, headers),
    causationId: messageId,
  })
}
