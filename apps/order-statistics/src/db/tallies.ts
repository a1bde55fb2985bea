import { noRow, statement, type Tx } from '@edp/runtime'
import { and, asc, desc, gte, inArray, lt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type { Pool } from 'pg'
import type { Tally, TallyKind } from '../tally.ts'
import { tallies } from './schema.ts'

// Sorted, as everywhere: two batches that add to the same counts wait for each other and never deadlock.
const add = statement(
  'tallies_add',
  noRow,
  `insert into tallies as t (minute, kind, label, orders, amount_minor)
   select minute, kind, label, orders, amount_minor
   from unnest($1::timestamptz[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
     as a (minute, kind, label, orders, amount_minor)
   order by minute, kind, label
   on conflict (minute, kind, label)
     do update set orders = t.orders + excluded.orders, amount_minor = t.amount_minor + excluded.amount_minor`,
)

/** Adds to counts, in one statement, whose answer the commit awaits. */
export function addTallies(tx: Tx, added: readonly Tally[]): void {
  if (added.length === 0) return
  void tx.execute(add, [
    added.map(({ minute }) => minute.toISOString()),
    added.map(({ kind }) => kind),
    added.map(({ label }) => label),
    added.map(({ orders }) => orders),
    added.map(({ amountMinor }) => amountMinor),
  ])
}

/** A count over some time. */
export interface Count {
  readonly kind: TallyKind
  readonly label: string
  readonly orders: number
  readonly amountMinor: number
}

/** What HTTP reads. */
export interface TallyQueries {
  /** From `from` on, until before `to`. */
  totals(span: { from: Date; to: Date }): Promise<Count[]>
  /** The counts of at most `limit` minutes before `before`, the newest first; minutes in which nothing happened are left out. */
  minutes(page: { before: Date; limit: number }): Promise<(Count & { minute: Date })[]>
}

/** Reads over an ordinary pool, never the pipelined connections of the transactions. */
export function createTallyQueries(pool: Pool): TallyQueries {
  const db = drizzle(pool, { casing: 'snake_case' })
  return {
    totals: ({ from, to }) =>
      db
        .select({
          kind: tallies.kind,
          label: tallies.label,
          orders: sql<number>`sum(${tallies.orders})::float8`,
          amountMinor: sql<number>`sum(${tallies.amountMinor})::float8`,
        })
        .from(tallies)
        .where(and(gte(tallies.minute, from), lt(tallies.minute, to)))
        .groupBy(tallies.kind, tallies.label)
        .orderBy(asc(tallies.kind), asc(tallies.label)),
    minutes: async ({ before, limit }) => {
      const newest = db
        .selectDistinct({ minute: tallies.minute })
        .from(tallies)
        .where(lt(tallies.minute, before))
        .orderBy(desc(tallies.minute))
        .limit(limit)
      return db
        .select()
        .from(tallies)
        .where(inArray(tallies.minute, newest))
        .orderBy(desc(tallies.minute), asc(tallies.kind), asc(tallies.label))
    },
  }
}
