import type { Database } from '@edp/runtime'
import { type AuditEntry, record } from './db/audit.ts'
import { type Ignoring, lockGroup, saveIgnoring } from './db/letter-groups.ts'

/** What came of it. */
export type Ignored =
  | { readonly kind: 'done' }
  | { readonly kind: 'unknown' }
  /** The group has as many open letters already. */
  | { readonly kind: 'reached'; readonly open: number }

/** Raises no alert for a group until a time, or until it has so many open letters, whichever comes first; null ends it. */
export async function ignoreGroup(
  database: Pick<Database, 'transaction'>,
  {
    groupId,
    ignoring,
    by,
    why,
  }: {
    groupId: string
    ignoring: Ignoring | null
    by: string
    why?: string
  },
): Promise<Ignored> {
  return await database.transaction(async (tx) => {
    const known = await lockGroup(tx, groupId)
    if (!known) return { kind: 'unknown' }
    const { open, ...before } = known
    const count = ignoring?.ignoredUntilCount ?? null
    if (count !== null && count <= open) return { kind: 'reached', open }
    const after = ignoring ?? { ignoredUntil: null, ignoredUntilCount: null }
    saveIgnoring(tx, groupId, after)
    const entry: AuditEntry = {
      by,
      action: ignoring ? 'group.ignored' : 'group.heeded',
      groupId,
      before,
      after: { ...after },
    }
    record(tx, [why === undefined ? entry : { ...entry, why }])
    return { kind: 'done' }
  })
}
