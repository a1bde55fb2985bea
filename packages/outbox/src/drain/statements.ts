import { noRow, statement } from '@edp/runtime'
import { z } from 'zod'

// Every statement of the relay. They live behind the entry `@edp/outbox/drain`, so that services, which check the plans of all
// statements that they load, load none of these.

/** A row as it comes, all columns as text: those of a message, then those of the snapshot, which only the first row has. */
const fetchedRow = z.tuple([
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable(),
  z.string().nullable(),
])

// The first row carries pg_snapshot_xmin of the very snapshot that the others are read in, and the age of the oldest new row.
// Of a message only what is sent is read: its id and type are in its headers, and a column costs more than it seems.
const snapshotRow = `
  select null::bigint as id, null::text as destination, null::text as key, null::json as payload,
    null::json as headers, pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
    (select date_part('epoch', clock_timestamp() - created_at) from outbox
     where transport = $1 and id > $2 order by id limit 1) as oldest_seconds`

const columns = `o.id, o.destination, o.key, o.payload, o.headers, null::text, null::float8`

const newRows = `
  (select ${columns} from outbox o where o.transport = $1 and o.id > $2 order by o.id limit $3)`

/** What lies above the cursor: transport, cursor, limit. */
export const fetchNew = statement(
  'outbox_fetch_new',
  fetchedRow,
  `${snapshotRow} union all ${newRows}`,
)

/**
 * What lies above the cursor and in the gaps below it, in one snapshot: …, gaps, paused destinations, limit. The limit within
 * keeps the planner from reading the whole transport and comparing each row with each gap.
 */
export const fetchWithGaps = statement(
  'outbox_fetch_with_gaps',
  fetchedRow,
  `${snapshotRow}
   union all
   (select late.* from unnest($4::bigint[], $5::bigint[]) as g (low, high)
    cross join lateral (
      select ${columns} from outbox o
      where o.transport = $1 and o.id >= g.low and o.id <= g.high
        and o.destination <> all ($6::text[])
      order by o.id limit $7
    ) as late
    order by late.id limit $7)
   union all ${newRows}`,
)

/** The first rows of a paused destination: transport, the id before, destination, limit. */
export const fetchPaused = statement(
  'outbox_fetch_paused',
  fetchedRow,
  `${snapshotRow}
   union all
   (select ${columns} from outbox o
    where o.transport = $1 and o.id > $2 and o.destination = $3 order by o.id limit $4)`,
)

/** Deletes rows; gives the xid of the transaction that did it. */
export const deleteRows = statement(
  'outbox_delete',
  z.object({ xid: z.number() }),
  `with deleted as (delete from outbox where transport = $1 and id = any ($2::bigint[]))
   select pg_current_xact_id()::text::bigint as xid`,
)

/** An xid that is higher than that of every transaction which has begun to write. */
export const newXid = statement(
  'outbox_new_xid',
  z.object({ xid: z.number() }),
  'select pg_current_xact_id()::text::bigint as xid',
)

/** The safety net: what is there up to the cursor, from zero: transport, cursor, paused destinations, limit. */
export const scanFromZero = statement(
  'outbox_scan_from_zero',
  z.object({ id: z.number() }),
  `select id from outbox
   where transport = $1 and id <= $2 and destination <> all ($3::text[]) order by id limit $4`,
)

/** Age of the oldest row in seconds, and how many there are, counted up to a bound: transport, bound. */
export const sampleBacklog = statement(
  'outbox_sample_backlog',
  z.object({ oldest_seconds: z.number().nullable(), rows: z.number() }),
  `select
     (select date_part('epoch', clock_timestamp() - created_at) from outbox
      where transport = $1 order by id limit 1) as oldest_seconds,
     (select count(*) from (select 1 from outbox where transport = $1 limit $2) as pending) as rows`,
)

/**
 * Takes the lease when nobody has it: transport, owner, milliseconds. The clock is the database's. A lease of our own is taken
 * anew, with another epoch.
 */
export const acquireLease = statement(
  'outbox_lease_acquire',
  z.object({ epoch: z.number() }),
  `insert into outbox_lease as l (transport, owner, epoch, expires_at)
   values ($1, $2, 1, clock_timestamp() + $3::bigint * interval '1 ms')
   on conflict (transport) do update
     set owner = excluded.owner, epoch = l.epoch + 1,
         expires_at = clock_timestamp() + $3::bigint * interval '1 ms'
     where l.expires_at <= clock_timestamp() or l.owner = excluded.owner
   returning epoch`,
)

/** Whether somebody else has the lease, so that waiting for it writes nothing: transport, owner. */
export const readLease = statement(
  'outbox_lease_read',
  z.object({ owner: z.string() }),
  `select owner from outbox_lease
   where transport = $1 and owner <> $2 and expires_at > clock_timestamp()`,
)

/** Holds the lease longer: transport, owner, milliseconds. No row: it is somebody else's. Owners have names that nobody else has. */
export const renewLease = statement(
  'outbox_lease_renew',
  z.object({ epoch: z.number() }),
  `update outbox_lease set expires_at = clock_timestamp() + $3::bigint * interval '1 ms'
   where transport = $1 and owner = $2
   returning epoch`,
)

/** Gives the lease back, so that another takes it at once: transport, owner. The row stays, for its epoch. */
export const releaseLease = statement(
  'outbox_lease_release',
  noRow,
  `update outbox_lease set expires_at = clock_timestamp()
   where transport = $1 and owner = $2`,
)
