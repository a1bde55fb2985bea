import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { type Content, type Notification, statuses } from '../domain/notification.ts'

// Written by this service alone, from values of the type.
const content = z.custom<Content>((value) => typeof value === 'object' && value !== null)

const lock = statement(
  'notifications_lock',
  z.object({
    id: z.string(),
    order_id: z.string().nullable(),
    recipient: z.string(),
    content,
    status: z.enum(statuses),
    due_in_ms: z.number(),
  }),
  `select n.id, n.order_id, n.recipient, n.content, n.status,
     (extract(epoch from n.due_at - now()) * 1000)::float8 as due_in_ms
   from unnest($1::uuid[]) as k (id)
   join notifications n on n.id = k.id
   order by n.id
   for update of n`,
)

// What is new is inserted; of what exists only the status changes. One that is being sent at this moment may be sent all the same.
const save = statement(
  'notifications_save',
  noRow,
  `insert into notifications (id, kind, order_id, recipient, content, status, due_at, causation_id, coordination, traceparent)
   select id, kind, order_id, recipient, content::json, status, now() + due_in_ms * interval '1 millisecond', causation_id,
     coordination, traceparent
   from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::float8[], $8::uuid[],
     $9::text[], $10::text[])
     as s (id, kind, order_id, recipient, content, status, due_in_ms, causation_id, coordination, traceparent)
   order by id
   on conflict (id) do update set status = excluded.status where notifications.status = 'pending'`,
)

/** Locks notifications by their ids; one that does not exist is left out. */
export async function lockNotifications(
  tx: Tx,
  ids: readonly string[],
): Promise<Map<string, Notification>> {
  if (ids.length === 0) return new Map()
  const rows = await tx.run(lock, [ids])
  return new Map(
    rows.map((row): [string, Notification] => [
      row.id,
      {
        id: row.id,
        orderId: row.order_id,
        recipient: row.recipient,
        content: row.content,
        status: row.status,
        dueInMs: row.due_in_ms,
        // Kept where it is: a cause never changes.
        cause: null,
      },
    ]),
  )
}

/** Writes new and changed notifications in one statement, whose answer the commit awaits. */
export function saveNotifications(tx: Tx, notifications: readonly Notification[]): void {
  if (notifications.length === 0) return
  void tx.execute(save, [
    notifications.map(({ id }) => id),
    notifications.map(({ content: { kind } }) => kind),
    notifications.map(({ orderId }) => orderId),
    notifications.map(({ recipient }) => recipient),
    notifications.map((notification) => JSON.stringify(notification.content)),
    notifications.map(({ status }) => status),
    notifications.map(({ dueInMs }) => dueInMs),
    notifications.map(({ cause }) => cause?.messageId ?? null),
    notifications.map(({ cause }) => cause?.coordination ?? null),
    notifications.map(({ cause }) => cause?.traceparent ?? null),
  ])
}
