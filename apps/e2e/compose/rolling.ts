import { z } from 'zod'
import pg from 'pg'
import type { Load } from '../src/load.ts'
import type { ContainerSystem } from './container-system.ts'
import { docker, untilHealthy } from './docker.ts'

/**
 * Replaces the containers of a service by those of another version, one at a time: a new one joins and is healthy before an old one
 * is stopped. Orders go on meanwhile.
 * @throws Error when an old one does not end with 0
 */
export async function replaceEach(
  system: ContainerSystem,
  service: string,
  { version, load }: { version: string; load: Load },
): Promise<void> {
  const old = await system.containers(service)
  const keep = ['up', '--detach', '--no-deps', '--no-build', '--no-recreate']
  for (const { id, name } of old) {
    await system.compose([...keep, '--scale', `${service}=${old.length + 1}`, service], version)
    for (const one of await system.containers(service)) await untilHealthy(one.id)
    await docker(['stop', id])
    const { stdout } = await docker(['wait', id])
    if (stdout.trim() !== '0') throw new Error(`${name} ended with ${stdout.trim()}`)
    await docker(['rm', id])
    await load.more(10)
  }
}

/** How many orders each version of the saga has seen through. */
export async function sagasByVersion(ordersUrl: string): Promise<Record<string, number>> {
  const sql = `select definition_version as version, count(*)::int as count from saga
               where status in ('completed', 'compensated') group by 1 order by 1`
  const client = new pg.Client({ connectionString: ordersUrl })
  await client.connect()
  try {
    const rows = z
      .array(z.object({ version: z.number(), count: z.number() }))
      .parse((await client.query(sql)).rows)
    return Object.fromEntries(rows.map(({ version, count }) => [`v${version}`, count]))
  } finally {
    await client.end()
  }
}
