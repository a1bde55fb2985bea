import { and, desc, eq, lt } from 'drizzle-orm'
import type { SagasPage, SagasQuery, SagaView } from '../saga-api.ts'
import type { Reads } from './reads.ts'
import { saga } from './schema.ts'

/** A page of sagas, the newest first. */
export async function listSagas(reads: Reads, query: SagasQuery): Promise<SagasPage> {
  const { status, step, olderThan, cursor, limit } = query
  const rows = await reads
    .select()
    .from(saga)
    .where(
      and(
        status && eq(saga.status, status),
        step === undefined ? undefined : eq(saga.step, step),
        olderThan === undefined ? undefined : lt(saga.startedAt, new Date(olderThan)),
        cursor === undefined ? undefined : lt(saga.id, cursor),
      ),
    )
    .orderBy(desc(saga.id))
    .limit(limit + 1)
  const page = rows.slice(0, limit)
  return {
    sagas: page.map(viewRow),
    nextCursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}

function viewRow(row: typeof saga.$inferSelect): SagaView {
  return {
    sagaId: row.id,
    definition: row.definition,
    definitionVersion: row.definitionVersion,
    businessKey: row.businessKey,
    status: row.status,
    step: row.step,
    direction: row.direction,
    attempt: row.attempt,
    dueAt: row.dueAt?.toISOString() ?? null,
    trouble: row.trouble,
    cause: row.cause && { ...row.cause },
    skipped: [...row.skipped],
    deadlineAt: row.deadlineAt?.toISOString() ?? null,
    version: row.version,
    startedAt: row.startedAt.toISOString(),
    changedAt: row.changedAt.toISOString(),
    endedAt: row.endedAt?.toISOString() ?? null,
  }
}
