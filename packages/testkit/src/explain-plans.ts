import pg from 'pg'
import { z } from 'zod'

/** A statement to be planned; `Statement` of the runtime is one. */
export type PlannedStatement = { readonly name: string; readonly sql: string }

/** By statement name and table, or its alias where one is read twice: the columns that the lookup must use. */
export type LookupKeys = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>

interface PlanNode {
  'Node Type': string
  'Relation Name'?: string | undefined
  Alias?: string | undefined
  'Index Name'?: string | undefined
  'Index Cond'?: string | undefined
  Plans?: PlanNode[] | undefined
}

const planNode: z.ZodType<PlanNode> = z.object({
  'Node Type': z.string(),
  'Relation Name': z.string().optional(),
  Alias: z.string().optional(),
  'Index Name': z.string().optional(),
  'Index Cond': z.string().optional(),
  get Plans() {
    return z.array(planNode).optional()
  },
})
// For the transaction: autovacuum may have counted a table that a test has emptied since.
const forgetStatistics = `
  select pg_clear_relation_stats('public', relname) from pg_class
  where relnamespace = 'public'::regnamespace and relkind in ('r', 'p');
  select pg_clear_attribute_stats(schemaname, tablename, attname, inherited) from pg_stats
  where schemaname = 'public'`

const explained = z.object({ 'QUERY PLAN': z.tuple([z.object({ Plan: planNode })]) })

/** One access to a table in a plan. No condition: it reads all of it. */
export type TableAccess = {
  table: string
  alias: string
  how: string
  columns: ReadonlySet<string>
}

/**
 * Plans each statement as a fresh system does, without statistics and without parameter values, and gives every access
 * to a table that is not an index lookup by its whole key: a problem a line, none when all is well. The key is the
 * table's primary key unless `keys` names another one, for example the columns of a partial index. A statement that joins
 * on a part of the key is quadratic until the first analyze, and only then.
 * @param url a database with the schema and without rows, as the owner of its tables
 */
export async function explainPlans(
  url: string,
  statements: readonly PlannedStatement[],
  keys: LookupKeys = {},
): Promise<string[]> {
  const client = new pg.Client({ connectionString: url, application_name: 'explain' })
  await client.connect()
  try {
    await client.query(`begin; ${forgetStatistics}`)
    const primaryKeys = await readPrimaryKeys(client)
    const problems: string[] = []
    for (const { name, sql } of statements) {
      const { rows } = await client.query(`explain (generic_plan, format json) ${sql}`)
      const plan = explained.parse(rows[0])['QUERY PLAN'][0].Plan
      for (const access of tableAccesses(plan)) {
        const named = keys[name]?.[access.alias] ?? keys[name]?.[access.table]
        const key = named ?? primaryKeys.get(access.table) ?? []
        const problem = problemOf(access, key)
        if (problem) problems.push(`${name}: ${problem}`)
      }
    }
    return problems
  } finally {
    await client.end()
  }
}

/** Every access to a table in a plan, by the node that reads it. */
export function tableAccesses(node: PlanNode): TableAccess[] {
  const below = (node.Plans ?? []).flatMap(tableAccesses)
  const table = node['Relation Name']
  // What writes a table names it too, but the lookup is in the scan below it.
  if (table === undefined || node['Node Type'] === 'ModifyTable') return below
  const condition = [node, ...(node.Plans ?? [])].map((part) => part['Index Cond'] ?? '').join(' ')
  const { Alias: alias = table, 'Node Type': how } = node
  return [{ table, alias, how, columns: conditionColumns(condition) }, ...below]
}

/** The columns that an Index Cond compares: `((id = u.id) AND ((step)::text = u.step))` → id, step. */
export function conditionColumns(condition: string): Set<string> {
  const comparison = /"?(\w+)"?\)*(?:::[a-z]+(?: [a-z]+)*)? (?:=|<|>|<=|>=|IS) /g
  return new Set([...condition.matchAll(comparison)].flatMap(([, column]) => column ?? []))
}

function problemOf(access: TableAccess, key: readonly string[]): string | undefined {
  const { table, how, columns } = access
  if (key.length === 0) return `${how} of ${table}, which has no key`
  const missing = key.filter((column) => !columns.has(column))
  if (missing.length === 0) return undefined
  return `${how} of ${table} does not look up by ${missing.join(', ')}`
}

const keyRow = z.object({ table: z.string(), columns: z.array(z.string()) })

async function readPrimaryKeys(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query(
    `select c.conrelid::regclass::text as table,
            array(select a.attname::text from unnest(c.conkey) as k (attnum)
                  join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum) as columns
     from pg_constraint c join pg_class t on t.oid = c.conrelid
     where c.contype = 'p' and t.relnamespace = 'public'::regnamespace`,
  )
  return new Map(
    rows.map((row) => {
      const { table, columns } = keyRow.parse(row)
      return [table, columns]
    }),
  )
}
