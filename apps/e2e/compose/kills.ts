import { setTimeout as sleep } from 'node:timers/promises'
import type { Load } from '../src/load.ts'
import type { ContainerSystem } from './container-system.ts'
import { type Container, containerNow, docker, untilHealthy } from './docker.ts'
import type { LoadOutcome } from './under-load.ts'

/** What the kills of the containers of one service did. */
export interface KillRow {
  service: string
  kills: number
  /** Accepted from the first kill until all were healthy again. */
  orders: number
  /** From the kill of a container until it was healthy again. */
  slowestMs: number
}

/**
 * Kills each container of a service once, one after the other, as a machine that loses its power would. Orders go on meanwhile.
 */
export async function killEach(
  system: ContainerSystem,
  service: string,
  load: Load,
): Promise<KillRow> {
  const containers = await system.containers(service)
  const before = load.accepted()
  let slowestMs = 0
  for (const container of containers) {
    slowestMs = Math.max(slowestMs, await killAndStart(container))
    await load.more(10)
  }
  return { service, kills: containers.length, orders: load.accepted() - before, slowestMs }
}

/**
 * Kills every process in a container from the inside, which Docker takes for a crash.
 * @returns how long it took until its restart policy had repaired it
 */
export async function crash(container: Container): Promise<number> {
  const { restarts } = await containerNow(container.id)
  const startedMs = Date.now()
  // The command ends together with all others, so how it ends says nothing.
  await docker(['exec', container.id, 'bash', '-c', 'kill -9 -1']).catch(() => undefined)
  for (;;) {
    const now = await containerNow(container.id)
    if (now.restarts > restarts) break
    if (Date.now() - startedMs > 60_000) throw new Error(`${container.name} was not started again`)
    await sleep(100)
  }
  await untilHealthy(container.id)
  return Date.now() - startedMs
}

// Docker does not start again by itself what was killed by its own command, so this does.
async function killAndStart({ id }: Container): Promise<number> {
  const startedMs = Date.now()
  await docker(['kill', '--signal', 'SIGKILL', id])
  await docker(['start', id])
  await untilHealthy(id)
  return Date.now() - startedMs
}

/** The rows as a table for people, with what became of all orders. */
export function formatKills(rows: readonly KillRow[], all: LoadOutcome): string {
  const cells = rows.map((row) => [
    row.service,
    String(row.kills),
    String(row.orders),
    `${(row.slowestMs / 1000).toFixed(1)} s`,
  ])
  const table = [['killed', 'containers', 'orders meanwhile', 'slowest recovery'], ...cells]
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  )
  const padded = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)
  const lines = table.map((row) => `  ${row.map(padded).join('  ')}`)
  return [...lines, `  ${all.orders} orders, ${all.lost} lost, ${all.doubled} doubled`].join('\n')
}
