import { z } from 'zod'
import pg from 'pg'
import type { Load } from '../src/load.ts'
import type { ContainerSystem } from './container-system.ts'
import { containerNow, docker, untilHealthy } from './docker.ts'

/**
 * Replaces the containers of a service by those of another version: as many new ones join and are healthy before the old ones are
 * stopped, so that the old and the new share the work for a while. Orders go on meanwhile.
 * @throws Error when an old one does not end with 0
 */
export async function replaceAll(
  system: ContainerSystem,
  service: string,
  { version, load }: { version: string; load: Load },
): Promise<void> {
  const old = await system.containers(service)
  const both = `${service}=${old.length * 2}`
  const join = ['up', '--detach', '--no-deps', '--no-build', '--no-recreate', '--scale', both]
  await system.compose([...join, service], version)
  for (const { id } of await system.containers(service)) await untilHealthy(id)
  await load.more(10)
  const ids = old.map(({ id }) => id)
  await docker(['stop', ...ids])
  for (const { id, name } of old) {
    const { exitCode } = await containerNow(id)
    if (exitCode !== 0) throw new Error(`${name} ended with ${exitCode}`)
  }
  await docker(['rm', ...ids])
  await load.more(10)
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
