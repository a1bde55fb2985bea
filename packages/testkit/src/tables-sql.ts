import { z } from 'zod'

/** What drizzle-kit says of a schema; its own types do not resolve under TypeScript 7. */
const snapshot = z.looseObject({ id: z.string() })

/**
 * The statements that make drizzle tables, for tests of packages that have tables and no migrations.
 * @param tables the tables, by any name
 */
export async function tablesSql(tables: Record<string, unknown>): Promise<string[]> {
  // Loaded here since it takes half a second, and most tests have migrations.
  const { generateDrizzleJson, generateMigration } = await import('drizzle-kit/api')
  const empty = snapshot.parse(generateDrizzleJson({}, undefined, undefined, 'snake_case'))
  const wanted = snapshot.parse(generateDrizzleJson(tables, empty.id, undefined, 'snake_case'))
  return z.array(z.string()).parse(await generateMigration(empty, wanted))
}
