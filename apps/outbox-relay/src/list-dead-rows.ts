import { type DeadRowSummary, listDeadRows } from '@edp/outbox/drain'
import type { Database } from '@edp/runtime'
import { type DeadRowsPage, type DeadRowsQuery, type DeadRowView, viewDeadRow } from './api.ts'

const transports = ['kafka', 'rabbitmq'] as const

/** A page of what is dead or waits, over all databases: by database, transport and id. */
export async function listAllDeadRows(
  databases: ReadonlyMap<string, Database>,
  query: DeadRowsQuery,
): Promise<DeadRowsPage> {
  const { database: only, status, cursor, limit } = query
  const places = [...databases.keys()]
    .filter((name) => only === undefined || name === only)
    .toSorted()
    .flatMap((name) => transports.map((transport) => ({ name, transport })))
  const last = cursor === undefined ? undefined : placeOf(cursor)
  const views: DeadRowView[] = []
  for (const { name, transport } of places) {
    const place = `${name}/${transport}`
    if (last && isBefore(place, last.place)) continue
    const after = place === last?.place ? last.id : 0
    const rowsMax = limit + 1 - views.length
    const rows: DeadRowSummary[] =
      (await databases
        .get(name)
        ?.transaction((tx) => listDeadRows(tx, { transport, after, status, rowsMax }))) ?? []
    views.push(...rows.map((row) => viewDeadRow(name, row)))
    if (views.length > limit) break
  }
  const deadRows = views.slice(0, limit)
  return { deadRows, nextCursor: views.length > limit ? cursorOf(deadRows.at(-1)) : null }
}

function placeOf(cursor: string): { place: string; id: number } {
  const slash = cursor.lastIndexOf('/')
  return { place: cursor.slice(0, slash), id: Number(cursor.slice(slash + 1)) }
}

// By database first: `orders/kafka` comes before `orders-2/kafka`, which plain text comparison has the other way round.
function isBefore(place: string, other: string): boolean {
  const [name = '', transport = ''] = place.split('/')
  const [otherName = '', otherTransport = ''] = other.split('/')
  return name === otherName ? transport < otherTransport : name < otherName
}

function cursorOf(row: DeadRowView | undefined): string | null {
  return row ? `${row.database}/${row.transport}/${row.id}` : null
}
