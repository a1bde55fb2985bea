import { and, count, desc, eq, inArray, lt } from 'drizzle-orm'
import type { RedrivesPage, RedrivesQuery, RedriveView } from '../api.ts'
import type { Reads } from './reads.ts'
import { redriveLetters, redrives } from './schema.ts'

/** A page of redrives, the newest first. */
export async function listRedrives(reads: Reads, query: RedrivesQuery): Promise<RedrivesPage> {
  const { state, cursor, limit } = query
  const rows = await reads
    .select()
    .from(redrives)
    .where(
      and(state && eq(redrives.state, state), cursor ? lt(redrives.redriveId, cursor) : undefined),
    )
    .orderBy(desc(redrives.redriveId))
    .limit(limit + 1)
  const page = await withProgress(reads, rows.slice(0, limit))
  return {
    redrives: page,
    nextCursor: rows.length > limit ? (page.at(-1)?.redriveId ?? null) : null,
  }
}

/** One redrive with its progress. */
export async function findRedrive(
  reads: Reads,
  redriveId: string,
): Promise<RedriveView | undefined> {
  const [view] = await withProgress(
    reads,
    await reads.select().from(redrives).where(eq(redrives.redriveId, redriveId)),
  )
  return view
}

async function withProgress(
  reads: Reads,
  rows: readonly (typeof redrives.$inferSelect)[],
): Promise<RedriveView[]> {
  if (rows.length === 0) return []
  const ids = rows.map(({ redriveId }) => redriveId)
  const counted = await reads
    .select({
      redriveId: redriveLetters.redriveId,
      state: redriveLetters.state,
      letters: count(),
    })
    .from(redriveLetters)
    .where(inArray(redriveLetters.redriveId, ids))
    .groupBy(redriveLetters.redriveId, redriveLetters.state)
  return rows.map((row) =>
    viewOf(
      row,
      new Map(
        counted
          .filter(({ redriveId }) => redriveId === row.redriveId)
          .map(({ state, letters }) => [state, letters]),
      ),
    ),
  )
}

function viewOf(
  row: typeof redrives.$inferSelect,
  letters: ReadonlyMap<string, number>,
): RedriveView {
  const of = (state: string): number => letters.get(state) ?? 0
  const [pending, resolved, failed, skipped] = [
    of('pending'),
    of('resolved'),
    of('failed'),
    of('skipped'),
  ]
  const sent = of('sent') + resolved + failed
  return {
    redriveId: row.redriveId,
    state: row.state,
    selection: row.selection,
    by: row.by,
    why: row.why,
    ratePerSecond: row.ratePerSecond,
    canary: { letters: row.canary, result: row.canaryState },
    progress: { selected: pending + sent + skipped, pending, sent, resolved, failed, skipped },
    createdAt: row.createdAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  }
}
