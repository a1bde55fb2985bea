import { line } from '@edp/event-schemas'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Reservation } from '../domain/reservation.ts'

const lock = statement(
  'reservations_lock',
  z.object({
    order_id: z.string(),
    status: z.enum(['held', 'released', 'shipped']),
    lines: z.array(line),
  }),
  `select r.order_id, r.status, r.lines
   from unnest($1::uuid[]) as k (order_id)
   join reservations r on r.order_id = k.order_id
   order by r.order_id
   for update of r`,
)

// JSON comes as lines of text, which it cannot contain itself: cheaper than an array with every quote
// escaped. Lines never change. An upsert and not an update: a batch may both make and end a reservation.
const save = statement(
  'reservations_save',
  noRow,
  `insert into reservations (order_id, status, lines, ended_at)
   select order_id, status, lines, case when status = 'held' then null else now() end
   from unnest($1::uuid[], $2::text[], string_to_array($3, E'\\n')::json[]) as s (order_id, status, lines)
   order by order_id
   on conflict (order_id) do update set status = excluded.status, ended_at = excluded.ended_at`,
)

/** Locks the reservations of orders; one that does not exist is left out. */
export async function lockReservations(
  tx: Tx,
  orderIds: readonly string[],
): Promise<Map<string, Reservation>> {
  if (orderIds.length === 0) return new Map()
  const rows = await tx.run(lock, [orderIds])
  return new Map(
    rows.map(({ order_id: orderId, status, lines }) => [orderId, { status, orderId, lines }]),
  )
}

/** Writes reservations, new and ended ones in one statement, whose answer the commit awaits. */
export function saveReservations(tx: Tx, reservations: readonly Reservation[]): void {
  if (reservations.length === 0) return
  void tx.execute(save, [
    reservations.map((reservation) => reservation.orderId),
    reservations.map((reservation) => reservation.status),
    reservations.map((reservation) => JSON.stringify(reservation.lines)).join('\n'),
  ])
}
