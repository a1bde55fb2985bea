import { enqueue } from '@edp/outbox'
import { createGroupCommit, type Database, type GroupCommit, type Tx } from '@edp/runtime'
import { claimJobRows, lockJobRows, renewJobRow, saveJobRows } from '../db/job-rows.ts'
import { type Claim, type JobRow, judgeClaim, type Outcome, settle } from '../domain/sending.ts'
import { jobLetter, jobResolved, originOf } from './job-letter.ts'

/** A job's hold on its row. */
export interface Lease {
  readonly id: string
  /** Of this attempt alone. */
  readonly owner: string
}

/** What jobs read and write of their rows, many of them in one transaction. */
export interface JobStore {
  /** Takes a notification for `leaseMs`, if it may be sent now. */
  readonly claim: GroupCommit<Lease, Claim>
  /** Writes what an attempt came to, with its dead letter where there is one. Owner null: of no attempt. */
  readonly settle: GroupCommit<Ending, boolean>
  /** @returns false when the lease is somebody else's by now */
  renew(lease: Lease): Promise<boolean>
}

export interface Ending {
  readonly id: string
  readonly owner: string | null
  readonly outcome: Outcome
}

export interface JobStoreOptions {
  database: Pick<Database, 'transaction'>
  source: string
  namespace: string
  leaseMs: number
}

const groupMax = 200

/** The rows behind the jobs. Claims and endings that come while a transaction is under way share the next. */
export function createJobStore(options: JobStoreOptions): JobStore {
  const { database, leaseMs } = options
  return {
    claim: createGroupCommit({
      lanes: 1,
      groupMax,
      run: (leases) => database.transaction((tx) => claimAll(tx, leases, leaseMs)),
    }),
    settle: createGroupCommit({
      lanes: 1,
      groupMax,
      run: (endings) => database.transaction((tx) => settleAll(tx, endings, options)),
    }),
    renew: (lease) => database.transaction((tx) => renewJobRow(tx, lease, leaseMs)),
  }
}

async function claimAll(tx: Tx, leases: readonly Lease[], leaseMs: number): Promise<Claim[]> {
  const rows = await lockJobRows(
    tx,
    leases.map(({ id }) => id),
  )
  const claimed: Lease[] = []
  const claims = leases.map((lease): Claim => {
    const claim = judgeClaim(rows.get(lease.id))
    if (claim.kind !== 'claimed') return claim
    claimed.push(lease)
    rows.set(lease.id, { ...claim.row, leaseOwner: lease.owner, leaseInMs: leaseMs })
    return claim
  })
  claimJobRows(tx, claimed, leaseMs)
  return claims
}

async function settleAll(
  tx: Tx,
  endings: readonly Ending[],
  { source, namespace }: JobStoreOptions,
): Promise<boolean[]> {
  const rows = await lockJobRows(
    tx,
    endings.map(({ id }) => id),
  )
  const now = new Date()
  const changed = new Map<string, { row: JobRow; response: string | null }>()
  const settled = endings.map(({ id, owner, outcome }) => {
    const row = changed.get(id)?.row ?? rows.get(id)
    const ending = row && settle(row, outcome, { owner, now })
    if (!ending) return false
    const { row: next, response, told, reason } = ending
    changed.set(id, { row: next, response })
    const origin = originOf(next, { source, namespace, now })
    if (told === 'resolved') enqueue(tx, [jobResolved(next)], origin)
    if (told === 'dead' && reason) enqueue(tx, [jobLetter(next, reason, now)], origin)
    return true
  })
  saveJobRows(tx, [...changed.values()])
  return settled
}
