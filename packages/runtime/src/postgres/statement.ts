import { z } from 'zod'

/** A hand-written SQL statement with the schema of its rows. */
export interface Statement<Row = unknown> {
  /** Also the name under which a connection prepares it, so it is unique in the process. */
  readonly name: string
  readonly sql: string
  readonly row: z.ZodType<Row>
}

const statements = new Map<string, Statement>()

/**
 * Declares a statement. Its rows are checked against `row` outside production and trusted in production; the schema may
 * not transform. Declared once, at module level: every declared statement is planned by a test.
 * @throws Error when the name is taken or longer than Postgres' 63 bytes
 */
export function statement<Row>(name: string, row: z.ZodType<Row>, sql: string): Statement<Row> {
  if (statements.has(name)) throw new Error(`a statement named ${name} exists already`)
  if (name.length > 63) throw new Error(`the statement name ${name} is longer than 63 bytes`)
  const declared = { name, row, sql }
  statements.set(name, declared)
  return declared
}

/** The row of a statement that returns none. */
export const noRow: z.ZodType<never> = z.never()

/** Every statement that was declared by the modules loaded so far. */
export function declaredStatements(): Statement[] {
  return [...statements.values()]
}
