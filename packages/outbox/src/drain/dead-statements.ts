import { noRow, statement } from '@edp/runtime'
import { z } from 'zod'

// Every statement about rows that can never be published. The lease row is the lock between the one relay that moves rows here
// and the operators who put them back: who moves shares it and compares the epoch, who puts back raises the epoch. So nothing is
// moved by an owner that knows less than the table does, and an owner whose epoch was raised knows that it has to look again.

const fence = `
  fence as materialized (
    select 1 from outbox_lease where transport = $1 and owner = $2 and epoch = $3 for share
  )`

const columns = 'transport, id, message_id, destination, key, type, payload, headers, created_at'

/** What is said in a dead letter and is not known from a fetch: transport, ids. */
export const readDoomed = statement(
  'outbox_read_doomed',
  z.object({ id: z.number(), message_id: z.string(), type: z.string() }),
  'select id, message_id, type from outbox where transport = $1 and id = any ($2::bigint[])',
)

/** What a move did; `fenced` is 0 when the lease is no longer what its owner thinks, and then nothing was moved. */
const moved = z.object({ fenced: z.number(), ids: z.array(z.number()), xid: z.number() })

/**
 * Moves rows to the dead ones and enqueues their letters, all or nothing: transport, owner, epoch, ids, codes, messages, and of the
 * letters: id of the row, message id, destination, key, type, payload, headers.
 */
export const buryRows = statement(
  'outbox_bury',
  moved,
  `with ${fence},
   dead as (
     delete from outbox o
     where o.transport = $1 and o.id = any ($4::bigint[]) and exists (select from fence)
     returning o.*
   ), buried as (
     insert into outbox_dead (${columns}, status, error_code, error_message)
     select ${columns}, 'dead', code, message
     from dead join unnest($4::bigint[], $5::text[], $6::text[]) as e (id, code, message) using (id)
   ), letters as (
     insert into outbox (transport, message_id, destination, key, type, payload, headers)
     select 'kafka', l.message_id, l.destination, l.key, l.type, l.payload, l.headers
     from unnest($7::bigint[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::json[], $13::json[])
       as l (id, message_id, destination, key, type, payload, headers)
     where l.id in (select id from dead)
   )
   select (select count(*) from fence) as fenced, coalesce((select json_agg(id) from dead), '[]') as ids,
     pg_current_xact_id()::text::bigint as xid`,
)

/** Moves rows behind the dead ones of their keys: transport, owner, epoch, ids. */
export const holdRows = statement(
  'outbox_hold',
  moved,
  `with ${fence},
   held as (
     delete from outbox o
     where o.transport = $1 and o.id = any ($4::bigint[]) and exists (select from fence)
     returning o.*
   ), waiting as (
     insert into outbox_dead (${columns}, status) select ${columns}, 'waiting' from held
   )
   select (select count(*) from fence) as fenced, coalesce((select json_agg(id) from held), '[]') as ids,
     pg_current_xact_id()::text::bigint as xid`,
)

/** The keys that have a dead row, with the first of them, or rows that wait: transport. */
export const readKeys = statement(
  'outbox_dead_keys',
  z.object({
    destination: z.string(),
    key: z.string(),
    dead_from: z.number().nullable(),
    waits: z.boolean(),
  }),
  `select destination, key, min(id) filter (where status = 'dead') as dead_from,
     bool_or(status = 'waiting') as waits
   from outbox_dead where transport = $1 group by destination, key`,
)

/**
 * Brings the rows of a key that wait back to the outbox, with their old ids: transport, owner, epoch, destination, key, whether
 * also those behind a row that is still dead.
 */
export const releaseRows = statement(
  'outbox_release',
  z.object({ rows: z.number() }),
  `with ${fence},
   freed as (
     delete from outbox_dead
     where transport = $1 and destination = $4 and key = $5 and status = 'waiting'
       and exists (select from fence)
       and ($6::boolean or id < coalesce(
         (select min(d.id) from outbox_dead d
          where d.transport = $1 and d.destination = $4 and d.key = $5 and d.status = 'dead'),
         9223372036854775807))
     returning *
   ), returned as (
     insert into outbox (${columns}) overriding system value select ${columns} from freed
   )
   select count(*) as rows from freed`,
)

/** How many rows are dead and wait, counted up to a bound, and the age of the oldest dead one: transport, bound. */
export const sampleDead = statement(
  'outbox_dead_sample',
  z.object({ dead: z.number(), waiting: z.number(), oldest_seconds: z.number().nullable() }),
  `select count(*) filter (where status = 'dead') as dead,
     count(*) filter (where status = 'waiting') as waiting,
     date_part('epoch', clock_timestamp() - min(moved_at) filter (where status = 'dead')) as oldest_seconds
   from (select status, moved_at from outbox_dead where transport = $1 order by id limit $2) as known`,
)

/** Takes one for whoever puts it back or gives it up: transport, id. */
export const lockDead = statement(
  'outbox_dead_lock',
  z.object({
    transport: z.enum(['kafka', 'rabbitmq']),
    id: z.number(),
    message_id: z.string(),
    destination: z.string(),
    key: z.string(),
    type: z.string(),
    payload: z.string(),
    headers: z.string(),
    status: z.enum(['dead', 'waiting']),
  }),
  `select transport, id, message_id, destination, key, type, payload::text as payload,
     headers::text as headers, status
   from outbox_dead where transport = $1 and id = $2 for update`,
)

/** Tells the relay that has the lease, or takes it just now, to look again; keeps it from moving rows until the commit: transport. */
export const raiseEpoch = statement(
  'outbox_lease_raise_epoch',
  z.object({ owner: z.string(), epoch: z.number() }),
  `insert into outbox_lease as l (transport, owner, epoch, expires_at)
   values ($1, 'nobody', 1, clock_timestamp())
   on conflict (transport) do update set epoch = l.epoch + 1
   returning owner, epoch`,
)

/** Brings a dead row back to the outbox, with its old id: transport, id, a new payload or null. */
export const returnDead = statement(
  'outbox_dead_return',
  noRow,
  `with repaired as (delete from outbox_dead where transport = $1 and id = $2 returning *)
   insert into outbox (${columns}) overriding system value
   select transport, id, message_id, destination, key, type, coalesce($3::json, payload), headers, created_at
   from repaired`,
)

/** Gives a dead row up: transport, id. */
export const deleteDead = statement(
  'outbox_dead_delete',
  noRow,
  'delete from outbox_dead where transport = $1 and id = $2',
)

const listed = {
  transport: z.enum(['kafka', 'rabbitmq']),
  id: z.number(),
  message_id: z.string(),
  destination: z.string(),
  key: z.string(),
  type: z.string(),
  status: z.enum(['dead', 'waiting']),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  payload_bytes: z.number(),
  created_at: z.date(),
  moved_at: z.date(),
}

const listedColumns = `transport, id, message_id, destination, key, type, status, error_code, error_message,
     octet_length(payload::text) as payload_bytes, created_at, moved_at`

/** Some rows by id: transport, the id before, a status or null, limit. */
export const listDead = statement(
  'outbox_dead_list',
  z.object(listed),
  `select ${listedColumns}
   from outbox_dead
   where transport = $1 and id > $2 and ($3::text is null or status = $3) order by id limit $4`,
)

/** One row with all that it holds, how many wait behind it, and the dead row of its key that it waits for: transport, id. */
export const findDead = statement(
  'outbox_dead_find',
  z.object({
    ...listed,
    payload: z.string(),
    headers: z.string(),
    waiting_behind: z.number(),
    waits_for: z.number().nullable(),
  }),
  `select ${listedColumns}, payload::text as payload, headers::text as headers,
     (select count(*) from outbox_dead w
      where w.transport = $1 and w.destination = d.destination and w.key = d.key and w.id > d.id
        and w.status = 'waiting') as waiting_behind,
     (select max(b.id) from outbox_dead b
      where b.transport = $1 and b.destination = d.destination and b.key = d.key and b.id < d.id
        and b.status = 'dead') as waits_for
   from outbox_dead d where transport = $1 and id = $2`,
)
