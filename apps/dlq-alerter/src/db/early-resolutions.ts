import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { EarlyResolution, Resolved } from '../domain/fact.ts'
import type { Identity } from './letters.ts'

const insert = statement(
  'early_resolutions_insert',
  noRow,
  `insert into early_resolutions (consumer, message_id, outcome, fact_at)
   select consumer, message_id, outcome, fact_at
   from unnest($1::text[], $2::uuid[], $3::text[], $4::timestamptz[]) as n (consumer, message_id, outcome, fact_at)
   order by consumer, message_id
   on conflict (consumer, message_id) do update set outcome = excluded.outcome, fact_at = excluded.fact_at`,
)

const take = statement(
  'early_resolutions_take',
  z.object({
    consumer: z.string(),
    message_id: z.string(),
    outcome: z.enum(['applied', 'already-applied', 'discarded']),
    fact_at: z.date(),
  }),
  `delete from early_resolutions e
   using unnest($1::text[], $2::uuid[]) as k (consumer, message_id)
   where e.consumer = k.consumer and e.message_id = k.message_id
   returning e.consumer, e.message_id, e.outcome, e.fact_at`,
)

/** Keeps resolutions whose letters are not here, each identity once; the commit awaits the answer. */
export function keepEarlyResolutions(tx: Tx, resolutions: readonly Resolved[]): void {
  if (resolutions.length === 0) return
  void tx.execute(insert, [
    resolutions.map(({ consumer }) => consumer),
    resolutions.map(({ messageId }) => messageId),
    resolutions.map(({ outcome }) => outcome),
    resolutions.map(({ at }) => at),
  ])
}

/** Takes what was kept for letters that are there now. */
export async function takeEarlyResolutions(
  tx: Tx,
  identities: readonly Identity[],
): Promise<EarlyResolution[]> {
  if (identities.length === 0) return []
  const rows = await tx.run(take, [
    identities.map(({ consumer }) => consumer),
    identities.map(({ messageId }) => messageId),
  ])
  return rows.map((row) => ({
    consumer: row.consumer,
    messageId: row.message_id,
    outcome: row.outcome,
    at: row.fact_at,
  }))
}
