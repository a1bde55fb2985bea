-- Rows live for milliseconds: vacuum by count and not by share of the table.
alter table outbox set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 20000,
  autovacuum_vacuum_cost_delay = 0
);
--> statement-breakpoint
-- The smallest uuid v7 of a day: its first 48 bits are milliseconds since 1970.
create function inbox_bound(day date) returns uuid language sql immutable as $$
  select (lpad(to_hex((extract(epoch from day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
--> statement-breakpoint
-- Makes the inbox partitions of the days kept and of three days ahead, and drops older ones. A partition is attached, not
-- created in place, since that would lock the whole inbox. Runs as the owner: the service itself may not alter tables.
create function inbox_maintain(retention_days integer) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  today constant date := (now() at time zone 'UTC')::date;
  day date;
  partition text;
begin
  perform pg_advisory_xact_lock(hashtext('inbox_maintain'));
  for offset_days in -retention_days .. 3 loop
    day := today + offset_days;
    partition := 'inbox_' || to_char(day, 'YYYYMMDD');
    if to_regclass(partition) is null then
      execute format('create table %I (like inbox including all)', partition);
      execute format('alter table inbox attach partition %I for values from (%L) to (%L)',
        partition, inbox_bound(day), inbox_bound(day + 1));
    end if;
  end loop;
  for partition in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'inbox'::regclass
      and c.relname < 'inbox_' || to_char(today - retention_days, 'YYYYMMDD')
  loop
    execute format('drop table %I', partition);
  end loop;
end
$$;
--> statement-breakpoint
select inbox_maintain(8);
--> statement-breakpoint
revoke all on function inbox_maintain(integer) from public;
--> statement-breakpoint
grant execute on function inbox_maintain(integer) to order_statistics;
--> statement-breakpoint
grant select, insert, update, delete on all tables in schema public to order_statistics;
--> statement-breakpoint
grant select, insert, delete on outbox to relay;
--> statement-breakpoint
grant select, insert, update, delete on outbox_lease to relay;
--> statement-breakpoint
revoke insert, update, delete on outbox_dead from order_statistics;
--> statement-breakpoint
grant select, insert, update, delete on outbox_dead to relay;
--> statement-breakpoint
-- Few rows that every batch writes: room for their next versions, and vacuum by count.
alter table tallies set (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0
);
